import { createGates, type MppOptions } from '@mppkit/server'
import { check, fault, judge, skip, type Question, type Subject, type Verdict } from '@mppkit/testing/conform'
import type { Config } from './config-file.ts'
import { publicAccountsIn } from './public-keys.ts'

type Env = Readonly<Record<string, string | undefined>>

/** One look at the options. */
interface Look {
  id: string
  title: string
  remedy: string
  level?: 'warning'
  at(options: MppOptions, env: Env): string | void | Promise<string | void>
}

const ENTROPY =
  'Make one with `openssl rand -base64 32`, keep it in the environment, and use it nowhere else.'
const EXAMPLE =
  /secret|example|change.?me|password|demo|sample|placeholder|your.?key|0123456789|abcdefgh|(.)\1{7}/i

const looks: readonly Look[] = [
  {
    id: 'secret-length',
    title: 'Every secret has at least 32 bytes',
    remedy: ENTROPY,
    at(options) {
      const secrets = secretsOf(options)
      check(secrets.length > 0, 'there is no secret')
      for (const secret of secrets) {
        const { length } = Buffer.from(secret)
        check(length >= 32, `one has ${length} bytes`)
      }
    },
  },
  {
    id: 'secret-random',
    title: 'No secret is an example, or can be guessed',
    remedy: ENTROPY,
    at(options) {
      for (const secret of secretsOf(options)) {
        if (Buffer.from(secret).length < 32) continue
        check(!EXAMPLE.test(secret), 'one reads like an example')
        check(new Set(secret).size >= 12, `one is made of ${new Set(secret).size} different characters`)
      }
    },
  },
  {
    id: 'secret-own',
    title: 'No secret is used twice',
    remedy: 'Give mppkit a secret of its own; to rotate, add a new one in front of the old.',
    at(options, env) {
      const secrets = secretsOf(options)
      check(new Set(secrets).size === secrets.length, 'one stands twice in the list')
      for (const secret of secrets) {
        const names = Object.keys(env).filter((name) => secret.length >= 16 && env[name] === secret)
        check(names.length < 2, `one is in the environment under several names: ${names.join(', ')}`)
      }
    },
  },
  {
    id: 'origin-https',
    title: 'The public origin is https',
    remedy: 'Give `origin` as https://…: credentials are as good as money.',
    at(options) {
      const written = options.origin ?? skip('there is no origin')
      check(isOrigin(written), `it is ${JSON.stringify(written)}; write it like "https://api.example.com"`)
      const origin = new URL(written)
      if (isLocal(origin)) skip('the origin is the loopback')
      check(origin.protocol === 'https:', `it is ${origin.origin}`)
    },
  },
  {
    id: 'origin-given',
    title: 'In production the public origin is given',
    remedy:
      'Give createMpp `origin`: without it payments are taken on the loopback only, and a proxy makes everyone loopback.',
    level: 'warning',
    at(options, env) {
      if (env.NODE_ENV !== 'production') skip('this is not production (NODE_ENV)')
      const origin = originOf(options)
      check(origin !== undefined, 'there is none')
      check(!isLocal(origin), `it is ${origin.origin}`)
    },
  },
  {
    id: 'store-lasting',
    title: 'In production payments are kept in a store that survives a restart',
    remedy:
      'Give createMpp a store, e.g. sqliteStore({ path: "payments.db" }); for several hosts Redis or PostgreSQL.',
    at(options, env) {
      const origin = originOf(options)
      if (env.NODE_ENV !== 'production' && (origin === undefined || isLocal(origin)))
        skip('neither a public origin nor production')
      check(options.store !== undefined, 'there is no store: payments are kept in memory')
      check(!options.store.volatile, 'the store forgets everything at a restart')
    },
  },
  {
    id: 'store-answers',
    title: 'The store answers, and is fit for payments',
    remedy: 'Read what it says; a replica, or a server that evicts, loses payments.',
    async at({ store }) {
      if (!store) skip('there is no store')
      try {
        await store.check?.()
        await store.get('doctor')
      } catch (error) {
        fault((error as Error).message)
      }
    },
  },
  {
    id: 'proxies',
    title: 'Only proxies that are there are trusted',
    remedy:
      'Name the number or the addresses of your own proxies, and leave trustProxy out where there is none.',
    at(options) {
      const { trustProxy } = options
      if (trustProxy === undefined) skip('no proxy is trusted')
      const origin = originOf(options)
      check(
        origin !== undefined && !isLocal(origin),
        `proxies are trusted, and the origin is ${origin?.origin ?? 'missing'}: any client may say that it came over TLS`,
      )
      const wide =
        typeof trustProxy === 'number' ? undefined : trustProxy.find((range) => range.endsWith('/0'))
      check(wide === undefined, `${wide} is everybody`)
    },
  },
  {
    id: 'one-kind-of-money',
    title: 'Test rails and live rails are not offered side by side',
    remedy: 'Make two servers, or one configuration per environment.',
    at({ methods }) {
      const live = methods.filter(({ mode }) => mode === 'live').map(({ name }) => name)
      const test = methods
        .filter((method) => method.mode === 'test' || method.name === 'toy')
        .map(({ name }) => name)
      check(live.length === 0 || test.length === 0, `${live.join(', ')} is live, ${test.join(', ')} is not`)
      return live.length > 0 ? 'live' : test.length > 0 ? 'test' : 'nobody can tell which it is'
    },
  },
  {
    id: 'real-money-in-public',
    title: 'A public origin sells for real money',
    remedy: 'Take the live network (or key) before you go public.',
    level: 'warning',
    at(options) {
      const origin = originOf(options)
      if (origin === undefined || isLocal(origin)) skip('there is no public origin')
      const test = options.methods.find((method) => method.mode === 'test' || method.name === 'toy')
      check(!test, `${test?.name} takes test money`)
    },
  },
  {
    id: 'recipient-own',
    title: 'Real money goes to nobody whose key is public',
    remedy: 'Give `recipient` an address of your own: whatever this one gets, anybody can take.',
    at(options) {
      const live = options.methods.filter(({ mode }) => mode === 'live')
      if (live.length === 0) skip('no method is known to take real money')
      for (const { name, request } of offersOf({ ...options, methods: live })) {
        const [account] = publicAccountsIn(request)
        check(account === undefined, `${name} pays ${account}, a development account of every local chain`)
      }
    },
  },
  {
    id: 'limits-on',
    title: 'Refused credentials are limited',
    remedy: 'Leave `limits` out (20 a minute), or name a rate.',
    at(options) {
      const origin = originOf(options)
      if (origin === undefined || isLocal(origin)) skip('there is no public origin')
      check(options.limits?.verify !== false, 'limits.verify is false')
    },
  },
  {
    id: 'enforced',
    title: 'In public, prices are enforced',
    remedy: 'Leave `enforce` out when you have seen enough of what would have been charged.',
    level: 'warning',
    at(options) {
      const origin = originOf(options)
      if (origin === undefined || isLocal(origin)) skip('there is no public origin')
      check(options.enforce !== false, 'enforce is false: everybody is let in for nothing')
    },
  },
  {
    id: 'starts',
    title: 'createMpp takes the options',
    remedy: 'Do as it says.',
    at(options) {
      try {
        createGates({ ...options, onError: () => {} }).close()
      } catch (error) {
        if (!(error instanceof TypeError)) throw error
        fault(error.message.replace(/^mppkit: /, ''))
      }
    },
  },
]

/** Everything that can be seen in a configuration. */
export async function lookAt(config: Config, env: Env): Promise<Verdict[]> {
  if ('mpp' in config)
    return [
      await verdictOf(
        {
          id: 'check',
          title: 'What createMpp made is ready',
          remedy: 'Do as it says.',
          at: () => checkOf(config.mpp),
        },
        {} as MppOptions,
        env,
      ),
    ]
  const verdicts: Verdict[] = []
  for (const look of looks) {
    // What has been said in better words is not said again.
    if (
      look.id === 'starts' &&
      verdicts.some(({ outcome, level }) => outcome === 'failed' && level === 'error')
    )
      break
    verdicts.push(await verdictOf(look, config.options, env))
  }
  return verdicts
}

/** What a price without overrides asks; skips where that cannot be told. */
function offersOf(options: MppOptions): { name: string; request: unknown }[] {
  try {
    const gates = createGates({ ...options, enforce: true, onError: () => {} })
    try {
      return gates
        .charge({ amount: '1' } as never)
        .offers.map(({ method, request }) => ({ name: method, request }))
    } finally {
      gates.close()
    }
  } catch {
    return skip('createMpp does not take the options')
  }
}

async function checkOf(mpp: { check(): Promise<unknown> }): Promise<void> {
  try {
    await mpp.check()
  } catch (error) {
    fault((error as Error).message)
  }
}

function verdictOf({ at, level, ...look }: Look, options: MppOptions, env: Env): Promise<Verdict> {
  const question: Question = {
    ...look,
    group: 'mppkit',
    level: level ?? 'error',
    requirements: [],
    ask: async () => at(options, env),
  }
  return judge(question, {} as Subject)
}

function secretsOf({ secret }: MppOptions): readonly string[] {
  const list = Array.isArray(secret) ? secret : [secret]
  return list.filter((one): one is string => typeof one === 'string')
}

function originOf({ origin }: MppOptions): URL | undefined {
  if (origin === undefined) return undefined
  return isOrigin(origin) ? new URL(origin) : skip('the origin cannot be read')
}

/** "localhost:3000" is a URL, too: one whose scheme is "localhost". */
function isOrigin(text: unknown): text is string {
  return typeof text === 'string' && /^https?:\/\//i.test(text) && URL.canParse(text)
}

function isLocal({ hostname }: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname) || hostname.endsWith('.localhost')
}
