import { createGates } from '@mppkit/server'
import { tempo } from '@mppkit/tempo/server'
import { expect, test } from 'vitest'

const recipient = '0x00000000000000000000000000000000000000aa'

// Checked by tsc: what it lets through here must be refused by hand as well.
test('overrides are typed by the method that they are for', () => {
  const { charge, close } = createGates({
    realm: 'types.example',
    secret: 's'.repeat(32),
    methods: [tempo.charge({ recipient, chainId: 1337, rpcUrl: 'http://127.0.0.1:1' })],
  })
  charge({ amount: '0.10', tempo: { splits: [{ amount: '0.01', recipient }] } })
  // @ts-expect-error a misspelt override
  expect(() => charge({ amount: '0.10', tempo: { split: [] } })).toThrow(TypeError)
  // @ts-expect-error no such method here
  expect(() => charge({ amount: '0.10', stripe: false })).toThrow(TypeError)
  // @ts-expect-error money is a decimal string
  expect(() => charge({ amount: 0.1 })).toThrow(TypeError)
  close()
})
