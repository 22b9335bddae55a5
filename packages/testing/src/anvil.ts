import { spawn, type ChildProcess } from 'node:child_process'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** An account that the local chain funds at its start. */
export interface TempoAccount {
  address: string
  privateKey: string
}

/** A Tempo chain of its own: real transaction type, real tokens, real fees; one process, gone when stopped. */
export interface LocalTempo {
  url: string
  chainId: number
  /** One JSON-RPC call; rejects with the node's message. */
  rpc(method: string, params?: readonly unknown[]): Promise<any>
  /** Ten well-known development accounts, rich in pathUSD and the three other genesis tokens. */
  accounts: TempoAccount[]
  /** Moves `amount` base units of `token` (default: pathUSD) out of the last development account. */
  fund(address: string, amount: bigint, token?: string): Promise<void>
  /** The balance in base units of `token` (default: pathUSD). */
  balance(address: string, token?: string): Promise<bigint>
  /** Mines one block and returns its time in Unix seconds: the clock that validity windows are judged by. */
  mine(): Promise<number>
  stop(): Promise<void>
}

const chainId = 1337
const pathUsd = '0x20c0000000000000000000000000000000000000'

/**
 * Starts `anvil --network tempo` on a free port and waits until it answers.
 * Rejects when the binary is missing, when `port` is taken, or when the chain does not come up within 15 seconds.
 */
export async function startTempo(options: { port?: number } = {}): Promise<LocalTempo> {
  const port = await freePort(options.port)
  const url = `http://127.0.0.1:${port}`
  // T4 must be asked for: the default is T0, where expiring nonces are an ordinary lane and access keys have no limits.
  const child = spawn(
    anvilBinary(),
    ['--network', 'tempo', '--hardfork', 't4', '--chain-id', String(chainId), '--port', String(port)],
    { stdio: 'ignore' },
  )
  const release = dieWithUs(child)

  const rpc = (method: string, params: readonly unknown[] = []) => call(url, method, params)
  const stop = async () => {
    await end(child)
    release()
  }
  try {
    await answering(child, rpc)
    // Genesis carries timestamp 1: until a block is mined every `validAfter` lies in the future.
    await rpc('evm_mine')
  } catch (error) {
    await stop()
    throw error
  }

  let funding = Promise.resolve()
  const fund = async (address: string, amount: bigint, token = pathUsd) => {
    const funder = accounts.at(-1)!.address
    const data = `0xa9059cbb${word(address)}${amount.toString(16).padStart(64, '0')}`
    // One after the other: the node counts the funder's nonce itself.
    const sent = funding.then(async () => {
      const hash = await rpc('eth_sendTransaction', [{ from: funder, to: token, data, gas: '0xf4240' }])
      const receipt = await receiptOf(rpc, hash)
      if (receipt.status !== '0x1') throw new Error(`funding ${address} with ${amount} of ${token} failed`)
    })
    funding = sent.catch(() => {})
    return sent
  }

  return {
    url,
    chainId,
    rpc,
    accounts,
    fund,
    async balance(address, token = pathUsd) {
      return BigInt(await rpc('eth_call', [{ to: token, data: `0x70a08231${word(address)}` }, 'latest']))
    },
    async mine() {
      await rpc('evm_mine')
      return Number((await rpc('eth_getBlockByNumber', ['latest', false])).timestamp)
    },
    stop,
  }
}

/** The accounts of the phrase "test test … junk"; the keys are public, use them nowhere else. */
const accounts: TempoAccount[] = [
  [
    '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
    'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  ],
  [
    '0x70997970c51812dc3a010c7d01b50e0d17dc79c8',
    '59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  ],
  [
    '0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc',
    '5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
  ],
  [
    '0x90f79bf6eb2c4f870365e785982e1f101e93b906',
    '7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
  ],
  [
    '0x15d34aaf54267db7d7c367839aaf71a00a2c6a65',
    '47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a',
  ],
  [
    '0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc',
    '8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba',
  ],
  [
    '0x976ea74026e726554db657fa54763abd0c3a0aa9',
    '92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e',
  ],
  [
    '0x14dc79964da2c08b23698b3d3cc7ca32193d9955',
    '4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356',
  ],
  [
    '0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f',
    'dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97',
  ],
  [
    '0xa0ee7a142d267c1f36714e4a8f75612f20a79720',
    '2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6',
  ],
].map(([address, key]) => ({ address: address!, privateKey: `0x${key}` }))

/** The native binary: killing the package's JavaScript shim would leave the chain running. */
function anvilBinary(): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch
  const name = process.platform === 'win32' ? 'anvil.exe' : 'anvil'
  // The launcher may be imported from any package of the workspace; the binary belongs to its root.
  for (const base of [import.meta.url, `file://${process.cwd()}/package.json`]) {
    try {
      const shim = createRequire(base).resolve('@foundry-rs/anvil/package.json')
      return createRequire(shim).resolve(`@foundry-rs/anvil-${process.platform}-${arch}/bin/${name}`)
    } catch {
      // Not reachable from here.
    }
  }
  throw new Error('anvil is not installed: add @foundry-rs/anvil to the development dependencies')
}

/** A process that is ended by a signal emits no `exit`; the chain must not outlive it either way. */
function dieWithUs(child: ChildProcess): () => void {
  const kill = () => void child.kill('SIGKILL')
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const onSignal = (signal: NodeJS.Signals) => {
    release()
    kill()
    // Without anybody else who listens, the signal would have ended us.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }
  const release = () => {
    process.off('exit', kill)
    for (const signal of signals) process.off(signal, onSignal)
  }
  process.once('exit', kill)
  for (const signal of signals) process.on(signal, onSignal)
  return release
}

async function answering(child: ChildProcess, rpc: LocalTempo['rpc']): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => (failure = error))
  child.once('exit', (code) => (failure ??= new Error(`anvil ended with code ${code} before it answered`)))
  const deadline = Date.now() + 15_000
  for (;;) {
    if (failure) throw failure
    try {
      await rpc('eth_chainId')
      return
    } catch (error) {
      if (Date.now() > deadline) throw new Error('anvil did not answer within 15 seconds', { cause: error })
      await sleep(25)
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), 2000)
  await gone
  clearTimeout(killer)
}

async function call(url: string, method: string, params: readonly unknown[]): Promise<any> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(20_000),
  })
  const answer = (await response.json()) as { result?: unknown; error?: { code: number; message: string } }
  if (answer.error)
    throw Object.assign(new Error(`${method}: ${answer.error.message}`), { code: answer.error.code })
  return answer.result
}

async function receiptOf(rpc: LocalTempo['rpc'], hash: string): Promise<{ status: string }> {
  for (let i = 0; i < 200; i++) {
    const receipt = await rpc('eth_getTransactionReceipt', [hash])
    if (receipt) return receipt
    await sleep(10)
  }
  throw new Error(`${hash} was not mined`)
}

/** Rejects if the wanted port is taken: whoever answers there must not be mistaken for our chain. */
async function freePort(wanted = 0): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(wanted, '127.0.0.1', resolve),
  )
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function word(address: string): string {
  return address.slice(2).toLowerCase().padStart(64, '0')
}
