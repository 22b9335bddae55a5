import type { Store } from '@mppkit/core'
import type { Question } from '../workers/front.ts'

/** How to reach a store that lives in workerd. */
export interface Remote {
  url: string
  name: string
  shards: number
}

/** A store on workerd as Node sees it: every call goes over HTTP to a Worker that calls `cloudflareStore`. */
export function proxyStore(remote: Remote): Store {
  return {
    get: (...args) => ask(remote, 'get', args) as never,
    swap: (...args) => ask(remote, 'swap', args) as never,
    due: (...args) => ask(remote, 'due', args) as never,
  }
}

export async function ask(
  { url, name, shards }: Remote,
  method: Question['method'],
  args: unknown[],
): Promise<unknown> {
  // In a list JSON makes null of what is not given.
  const given = args.filter((one) => one !== undefined)
  const question: Question = { name, shards, method, arguments: given }
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(question) })
  const { value, error } = (await response.json()) as {
    value?: unknown
    error?: { kind: string; message: string }
  }
  if (error) throw new (error.kind === 'TypeError' ? TypeError : Error)(error.message)
  return value
}
