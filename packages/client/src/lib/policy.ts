import { formatAmount, parseBaseUnits, type Cost } from '@mppkit/core'
import type { Offer } from './offer.ts'
import { must, refusal, type Refusal } from './refusal.ts'

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
  /**
   * Free text chosen by the seller; the identity is the origin. What costs nothing, a proof of identity, is given only to a realm that is the host of its origin,
   * unless `realms` or `origins` lists it or `approve` says yes: else any site could have you sign what logs it in elsewhere as you. Loopback is exempt.
   */
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
  must(
    typeof currency === 'string' && currency && perRequest !== undefined,
    "limits() needs currency and perRequest: limits({ currency: 'usd', perRequest: '0.10' })",
  )
  must(decimals === undefined || isDecimals(decimals), 'limits() takes decimals as a whole number, 0 to 77')
  for (const name of amounts) {
    const text: unknown = limit[name]
    must(
      text === undefined || (typeof text === 'string' && /^(0|[1-9]\d{0,76})(\.\d{1,77})?$/.test(text)),
      `limits() takes ${name} as a decimal string such as '0.10'`,
    )
  }
  return { ...limit, currency: lower(currency) }
}

/** Checks a policy. Throws `TypeError` with the remedy. */
export function checkPolicy(policy: Policy): Rules {
  const all = new Map<string, Limit>()
  for (const each of [policy?.limits ?? []].flat() as Limit[]) {
    const limit = limits(each)
    must(!all.has(limit.currency), `policy.limits names ${limit.currency} twice; merge them`)
    all.set(limit.currency, limit)
  }
  must(all.size, "createClient needs policy.limits: limits({ currency: 'usd', perRequest: '0.10' })")
  known('policy', policy, ['limits', 'approve', 'approveTimeout', ...lists])
  const { approve, approveTimeout = 120 } = policy
  must(approve === undefined || typeof approve === 'function', 'policy.approve must be a function')
  must(approveTimeout > 0 && approveTimeout <= 86_400, 'policy.approveTimeout must be seconds, at most a day')
  const rules: Rules = { limits: all, approveTimeout: approveTimeout * 1000 }
  if (approve) rules.approve = approve.bind(policy)
  for (const name of lists) {
    const list: unknown = policy[name]
    if (list === undefined) continue
    must(
      Array.isArray(list) && list.every((item) => typeof item === 'string'),
      `policy.${name} must be an array of strings`,
    )
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
      return refusal(code, `the policy does not list ${code} ${values.join()}`)
  const limit = rules.limits.get(currency)
  if (!limit) return refusal('currency', `the policy has no limit for ${currency}`)
  if (limit.decimals !== undefined && limit.decimals !== decimals)
    return refusal('currency', `${currency} with ${decimals} decimals, not ${limit.decimals}`)
  if (amount > units(limit.perRequest, decimals))
    return refusal('limit', `${breakdown(offer, cost)} is above perRequest ${limit.perRequest} ${currency}`)
  return undefined
}

/** What a human has to know to set the limit: a fee is no part of the price that the seller shows. */
function breakdown({ intent, request, amount }: Offer, { most }: Cost): string {
  const price = intent === 'charge' && parseBaseUnits(request['amount'])
  if (typeof price !== 'bigint' || price >= most.amount) return `price ${amount}`
  const [net, fee] = [price, most.amount - price].map((part) => formatAmount(part, most.decimals))
  return `price ${net} and up to ${fee} fee`
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
    must(keys.includes(key), `${name} does not know "${key}"; it knows ${keys.join(', ')}`)
}

function origin(text: string): string {
  const url = URL.canParse(text) && new URL(text)
  must(url && url.href === `${url.origin}/`, `policy.origins has "${text}"; write https://api.example.com`)
  return url.origin
}

function lower(text: string): string {
  return text.toLowerCase()
}

/** The case of a hex address means nothing; that of other names does. */
function fold(text: string): string {
  return /^0x/i.test(text) ? lower(text) : text
}
