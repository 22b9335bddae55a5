import type { Grant } from '@mppkit/server'
import type { Context } from 'hono'

/**
 * Keeps the headers of a grant true where somebody in front of the gate puts another answer in the place of a paid one:
 * Hono lets it inherit all headers, and an error must not carry a receipt.
 */
export function redress(c: Context, grant: Grant): void {
  const own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(c), 'res')
  Object.defineProperty(c, 'res', {
    ...own,
    configurable: true,
    set(this: Context, next: Response | undefined) {
      own?.set?.call(this, next)
      if (!next) return
      const { headers, status } = this.res
      for (const [name] of grant.headers(200)) headers.delete(name)
      for (const [name, value] of grant.headers(status)) headers.set(name, value)
    },
  })
}
