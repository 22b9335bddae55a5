import type { ConformOptions } from '@mppkit/testing/conform'
import { readHeader, readUrl, Usage } from './arguments.ts'

/** The options that say what is asked for. */
export const targetOptions = {
  method: { type: 'string' },
  body: { type: 'string' },
  header: { type: 'string', multiple: true },
  failing: { type: 'string' },
  timeout: { type: 'string' },
} as const

export const TARGET_HELP = `  --method <method>       default GET, with a body POST
  --body <text>           the body of the priced request
  --header 'Name: value'  sent with every request, e.g. a login; may be repeated
  --failing <path>        a priced resource of the same server whose handler fails
  --timeout <seconds>     that an answer may take; default 10`

/** What is asked for. Throws `Usage`. */
export function targetOf(
  about: string,
  values: {
    method?: string | undefined
    body?: string | undefined
    header?: string[] | undefined
    failing?: string | undefined
    timeout?: string | undefined
  },
): ConformOptions {
  const { method, body, header = [], failing, timeout } = values
  const seconds = timeout === undefined ? undefined : Number(timeout)
  if (seconds !== undefined && !(seconds > 0 && seconds <= 600))
    throw new Usage('--timeout is a number of seconds, up to 600')
  return {
    url: readUrl(about).href,
    headers: header.map(readHeader),
    ...(method !== undefined && { method: method.toUpperCase() }),
    ...(body !== undefined && { body }),
    ...(failing !== undefined && { failing }),
    ...(seconds !== undefined && { timeout: seconds * 1000 }),
  }
}
