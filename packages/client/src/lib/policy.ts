import type { Cost } from '@mppkit/core'
import type { Offer, Refusal, RefusalCode } from './offer.ts'

/** How much of one currency may leave the wallet. All amounts are decimal strings in whole units (`"0.10"`). */
export interface Limit {
  /** ISO 4217 code, token address, or what the method calls the currency. */
  currency: string
  /** The most that one payment may cost, fees included. */
  perRequest: string
  /** In any 60 minutes. */
  perHour?: string
  /** In any 24 hours. */
  perDay?: string
  /** Over the life of the client. */
  total?: string
  /** How many decimals the currency has. If given, a method that says otherwise is refused. */
  decimals?: number
}

/** What a client may pay for. Lists that are left out allow everything; an empty list allows nothing. */
export interface Policy {
  /** At least one. A currency without a limit is refused. */
  limits: Limit | readonly Limit[]
  /** Origins that may be paid (`https://api.example.com`). */
  origins?: readonly string[]
  /** Everyone who is paid by an offer must be listed. */
  recipients?: readonly string[]
  currencies?: readonly string[]
  /** Chains or networks, in the methods' words. An offer that names none is refused if this is given. */
  networks?: readonly string[]
  /** `tempo`, or `tempo/charge`. */
  methods?: readonly string[]
  /** Free text chosen by the seller; the identity is the origin. */
  realms?: readonly string[]
  /** Asked once per payment, after all other rules. `signal` fires when the answer no longer matters. */
  approve?(offer: Offer, options: { signal: AbortSignal }): boolean | Promise<boolean>
  /** Seconds to wait for `approve`; no answer is a no. Default 120. */
  approveTimeout?: number
}

/** A policy that was checked, in the form in which it is asked. */
export interface Rules extends Omit<Policy, 'limits' | 'approve' | 'approveTimeout'> {
  limits: ReadonlyMap<string, Limit>
  approve: Policy['approve'] | undefined
  approveTimeout: number
}

const lists = ['origins', 'recipients', 'currencies', 'networks', 'methods', 'realms'] as const
const amounts = ['perRequest', 'perHour', 'perDay', 'total'] as const

/** Checks one limit. Throws `TypeError` with the remedy. */
export function limits(limit: Limit): Limit {
  if (typeof limit !== 'object' || limit === null)
    throw new TypeError("limits() takes an object, e.g. limits({ currency: 'usd', perRequest: '0.10' })")
  known('limits()', limit, ['currency', 'decimals', ...amounts])
  if (typeof limit.currency !== 'string' || !limit.currency)
    throw new TypeError("limits() needs a currency, e.g. limits({ currency: 'usd', perRequest: '0.10' })")
  if (limit.perRequest === undefined)
    throw new TypeError(
      `limits() needs perRequest for ${limit.currency}: the most one payment may cost, e.g. '0.10'`,
    )
  const { decimals } = limit
  if (decimals !== undefined && !isDecimals(decimals))
    throw new TypeError('limits() takes decimals as a whole number from 0 to 77')
  for (const name of amounts) {
    const text: unknown = limit[name]
    if (text === undefined) continue
    if (typeof text !== 'string' || !/^(0|[1-9]\d{0,76})(\.\d{1,77})?$/.test(text))
      throw new TypeError(`limits() takes ${name} as a decimal string such as '0.10', in whole units`)
    if (decimals !== undefined && (text.split('.')[1] ?? '').length > decimals)
      throw new TypeError(`limits() got ${name} finer than ${decimals} decimals; round it`)
  }
  return Object.freeze({ ...limit, currency: limit.currency.toLowerCase() })
}

/** Checks a policy. Throws `TypeError` with the remedy. */
export function checkPolicy(policy: Policy): Rules {
  if (typeof policy !== 'object' || policy === null || policy.limits === undefined)
    throw new TypeError(
      "createClient needs a policy with limits: policy: { limits: limits({ currency: 'usd', perRequest: '0.10', perDay: '5' }) }",
    )
  known('policy', policy, ['limits', 'approve', 'approveTimeout', ...lists])
  const all = new Map<string, Limit>()
  for (const each of [policy.limits].flat() as Limit[]) {
    const limit = limits(each)
    if (all.has(limit.currency))
      throw new TypeError(`policy.limits names ${limit.currency} twice; merge the two`)
    all.set(limit.currency, limit)
  }
  if (!all.size) throw new TypeError('policy.limits is empty; add limits({ currency, perRequest })')
  const { approveTimeout = 120 } = policy
  if (policy.approve !== undefined && typeof policy.approve !== 'function')
    throw new TypeError('policy.approve must be a function (offer) => boolean')
  if (!(approveTimeout > 0 && approveTimeout < 2 ** 31 / 1000))
    throw new TypeError('policy.approveTimeout must be a positive number of seconds')
  const rules: Rules = {
    limits: all,
    approve: policy.approve?.bind(policy),
    approveTimeout,
  }
  for (const name of lists) {
    const list: unknown = policy[name]
    if (list === undefined) continue
    if (!Array.isArray(list) || list.some((item) => typeof item !== 'string' || !item))
      throw new TypeError(`policy.${name} must be an array of strings`)
    rules[name] = list.map(
      name === 'origins' ? origin : name === 'recipients' ? fold : name === 'currencies' ? lower : String,
    )
  }
  return Object.freeze(rules)
}

/** Why the policy forbids this payment as such; budgets and `approve` come later. Never looks at `description`. */
export function judge(rules: Rules, offer: Offer, cost: Cost): Refusal | undefined {
  const { method, intent, realm } = offer
  const currency = cost.most.currency.toLowerCase()
  const limit = rules.limits.get(currency)
  if (rules.origins && !rules.origins.includes(offer.origin)) return not('origin', offer.origin)
  if (rules.realms && !rules.realms.includes(realm)) return not('realm', realm)
  if (rules.methods && !rules.methods.includes(method) && !rules.methods.includes(`${method}/${intent}`))
    return not('method', `${method}/${intent}`)
  if (rules.networks && !rules.networks.includes(cost.network ?? ''))
    return not('network', cost.network ?? 'none named')
  if (rules.currencies && !rules.currencies.includes(currency)) return not('currency', currency)
  if (rules.recipients) {
    if (!cost.recipients.length) return not('recipient', 'none named')
    const stranger = cost.recipients.find((recipient) => !rules.recipients!.includes(fold(recipient)))
    if (stranger !== undefined) return not('recipient', stranger)
  }
  if (!limit)
    return {
      code: 'currency',
      detail: `no limit for currency ${currency}; add limits({ currency: '${currency}', … })`,
    }
  if (limit.decimals !== undefined && limit.decimals !== cost.most.decimals)
    return {
      code: 'currency',
      detail: `${currency} has ${limit.decimals} decimals by policy, ${cost.most.decimals} by the method`,
    }
  if (cost.most.amount > units(limit.perRequest, cost.most.decimals))
    return { code: 'limit', detail: `${offer.amount} ${currency} is above perRequest ${limit.perRequest}` }
  return undefined
}

/** A checked decimal string in base units; what is finer than the base unit is cut off. */
export function units(text: string, decimals: number): bigint {
  const [whole = '0', fraction = ''] = text.split('.')
  return BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'))
}

/** Whether a method's count of decimals can be reckoned with. */
export function isDecimals(decimals: unknown): boolean {
  return Number.isInteger(decimals) && (decimals as number) >= 0 && (decimals as number) < 78
}

function not(code: RefusalCode, value: string): Refusal {
  return { code, detail: `${code} not in the policy's list: ${value}` }
}

function known(name: string, value: object, keys: readonly string[]): void {
  for (const key of Object.keys(value))
    if (!keys.includes(key))
      throw new TypeError(`${name} does not know "${key}"; it knows ${keys.join(', ')}`)
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.origin === 'null' || url.href !== `${url.origin}/`)
    throw new TypeError(
      `policy.origins has "${text}"; write scheme and host only, such as https://api.example.com`,
    )
  return url.origin
}

function lower(text: string): string {
  return text.toLowerCase()
}

/** The case of a hex address means nothing; that of other addresses does. */
function fold(text: string): string {
  return /^0x/i.test(text) ? text.toLowerCase() : text
}
