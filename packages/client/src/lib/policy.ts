import type { Cost } from '@mppkit/core'
import type { Offer, Refusal } from './offer.ts'

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
export interface Rules extends Omit<Policy, 'limits' | 'approveTimeout'> {
  limits: ReadonlyMap<string, Limit>
  /** Milliseconds. */
  approveTimeout: number
}

const lists = ['origins', 'recipients', 'currencies', 'networks', 'methods', 'realms'] as const
const amounts = ['perRequest', 'perHour', 'perDay', 'total'] as const

/** Checks one limit. Throws `TypeError` with the remedy. */
export function limits(limit: Limit): Limit {
  known('limits()', limit, ['currency', 'decimals', ...amounts])
  const { currency, decimals, perRequest } = limit ?? {}
  if (typeof currency !== 'string' || !currency || perRequest === undefined)
    throw new TypeError(
      "limits() needs currency and perRequest: limits({ currency: 'usd', perRequest: '0.10' })",
    )
  if (decimals !== undefined && !isDecimals(decimals))
    throw new TypeError('limits() takes decimals as a whole number, 0 to 77')
  for (const name of amounts) {
    const text: unknown = limit[name]
    if (text === undefined) continue
    if (typeof text !== 'string' || !/^(0|[1-9]\d{0,76})(\.\d{1,77})?$/.test(text))
      throw new TypeError(`limits() takes ${name} as a decimal string such as '0.10'`)
  }
  return { ...limit, currency: lower(currency) }
}

/** Checks a policy. Throws `TypeError` with the remedy. */
export function checkPolicy(policy: Policy): Rules {
  const all = new Map<string, Limit>()
  for (const each of [policy?.limits ?? []].flat() as Limit[]) {
    const limit = limits(each)
    if (all.has(limit.currency))
      throw new TypeError(`policy.limits names ${limit.currency} twice; merge them`)
    all.set(limit.currency, limit)
  }
  if (!all.size)
    throw new TypeError(
      "createClient needs policy.limits: limits({ currency: 'usd', perRequest: '0.10', perDay: '5' })",
    )
  known('policy', policy, ['limits', 'approve', 'approveTimeout', ...lists])
  const { approveTimeout = 120 } = policy
  if (policy.approve !== undefined && typeof policy.approve !== 'function')
    throw new TypeError('policy.approve must be a function')
  if (!(approveTimeout > 0 && approveTimeout <= 86_400))
    throw new TypeError('policy.approveTimeout must be seconds, at most a day')
  const rules: Rules = { limits: all, approveTimeout: approveTimeout * 1000 }
  if (policy.approve) rules.approve = policy.approve.bind(policy)
  for (const name of lists) {
    const list: unknown = policy[name]
    if (list === undefined) continue
    if (!Array.isArray(list) || list.some((item) => typeof item !== 'string'))
      throw new TypeError(`policy.${name} must be an array of strings`)
    rules[name] = list.map(name === 'origins' ? origin : name === 'currencies' ? lower : fold)
  }
  return rules
}

/** Why the policy forbids this payment as such; budgets and `approve` come later. Never looks at `description`. */
export function judge(rules: Rules, offer: Offer, cost: Cost): Refusal | undefined {
  const { amount, decimals } = cost.most
  const currency = offer.currency!
  const pair = `${offer.method}/${offer.intent}`
  const asked = [
    ['origin', rules.origins, [offer.origin]],
    ['realm', rules.realms, [offer.realm]],
    ['method', rules.methods, [rules.methods?.includes(pair) ? pair : offer.method]],
    ['network', rules.networks, offer.network === undefined ? [] : [offer.network]],
    ['currency', rules.currencies, [currency]],
    ['recipient', rules.recipients, offer.recipients],
  ] as const
  for (const [code, list, values] of asked)
    if (list && !(values.length && values.every((value) => list.includes(fold(value)))))
      return { code, detail: `the policy does not list ${code} ${values.join()}` }
  const limit = rules.limits.get(currency)
  if (!limit) return { code: 'currency', detail: `the policy has no limit for ${currency}` }
  if (limit.decimals !== undefined && limit.decimals !== decimals)
    return { code: 'currency', detail: `${currency} with ${decimals} decimals, not ${limit.decimals}` }
  if (amount > units(limit.perRequest, decimals))
    return { code: 'limit', detail: `${offer.amount} ${currency} is above perRequest ${limit.perRequest}` }
  return undefined
}

/** A checked decimal string in base units; what is finer than the base unit is cut off. */
export function units(text: string, decimals: number): bigint {
  const [whole = '0', fraction = ''] = text.split('.')
  return BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'))
}

/** Whether a method's count of decimals can be reckoned with. */
export function isDecimals(decimals: number): boolean {
  return Number.isInteger(decimals) && decimals >= 0 && decimals < 78
}

/** A misspelt rule would be no rule. */
function known(name: string, value: object, keys: readonly string[]): void {
  for (const key of Object.keys(value ?? {}))
    if (!keys.includes(key))
      throw new TypeError(`${name} does not know "${key}"; it knows ${keys.join(', ')}`)
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.href !== `${url.origin}/`)
    throw new TypeError(`policy.origins has "${text}"; write https://api.example.com`)
  return url.origin
}

function lower(text: string): string {
  return text.toLowerCase()
}

/** The case of a hex address means nothing; that of other names does. */
function fold(text: string): string {
  return /^0x/i.test(text) ? lower(text) : text
}
