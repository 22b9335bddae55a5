import { parsePaymentInfo, type PaymentOffer } from '@mppkit/core'

/** One operation of an OpenAPI document. */
export interface Operation {
  /** In upper case. */
  method: string
  path: string
  /** Whether it is annotated with `x-payment-info`. */
  annotated: boolean
  /** The annotation in the form of one offer instead of a list. */
  shorthand: boolean
  /** Undefined where the annotation breaks its schema, or there is none. */
  offers: PaymentOffer[] | undefined
  /** Whether a 402 is declared. */
  declares402: boolean
  /** Whether the input is described, where there is one. */
  describesInput: boolean
  /** Whether it can be asked for without knowing anything. */
  plain: boolean
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query']

/** All operations of a document, whatever else it is. */
export function operationsOf(document: unknown): Operation[] {
  const found: Operation[] = []
  for (const [path, item] of Object.entries(recordIn(document, 'paths') ?? {})) {
    if (!isRecord(item)) continue
    for (const [name, operation] of Object.entries(item)) {
      if (!METHODS.includes(name) || !isRecord(operation)) continue
      const info = operation['x-payment-info']
      const parameters = [item.parameters, operation.parameters].flatMap((list) =>
        Array.isArray(list) ? list : [],
      )
      found.push({
        method: name.toUpperCase(),
        path,
        annotated: info !== undefined,
        shorthand: isRecord(info) && !Object.hasOwn(info, 'offers'),
        offers: parsePaymentInfo(info),
        declares402: isRecord(operation.responses) && Object.hasOwn(operation.responses, '402'),
        describesInput: !['put', 'post', 'patch'].includes(name) || operation.requestBody !== undefined,
        plain:
          name === 'get' &&
          // Behind an origin anything else would be the name of another server.
          path.startsWith('/') &&
          !path.includes('{') &&
          !parameters.some((one) => !isRecord(one) || one.required !== false),
      })
    }
  }
  return found
}

/** The member of an object, if it is one itself. */
export function recordIn(value: unknown, member: string): Record<string, unknown> | undefined {
  const inner = isRecord(value) && Object.hasOwn(value, member) ? value[member] : undefined
  return isRecord(inner) ? inner : undefined
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
