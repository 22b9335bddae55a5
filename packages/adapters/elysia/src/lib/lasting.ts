interface Mounted {
  resolve: (...given: never[]) => unknown
}

/**
 * Hooks that may be mounted, and spread, as often as one likes. Elysia rearranges the very object it is given: it moves
 * `resolve` into `beforeHandle`, so that one hook of the route's own would replace both where it is spread afterwards.
 */
export function lasting<Hooks extends Mounted>(hooks: Hooks): Hooks {
  const { resolve } = hooks
  for (const hook of Object.values(hooks) as object[])
    Object.defineProperty(hook, 'toString', { value: source })
  return new Proxy(hooks, {
    deleteProperty: (target, key) => key === 'resolve' || Reflect.deleteProperty(target, key),
    set(target, key, value: unknown) {
      const moved = key === 'beforeHandle' && Array.isArray(value)
      return Reflect.set(target, key, moved ? value.filter(({ fn }) => fn !== resolve) : value)
    },
  })
}

/**
 * Elysia reads the source of hooks to learn what to await, whose answer counts, and which parts of the context to make.
 * This tells it the same whatever a bundler has made of ours; without a `return` it would ignore the gate's answer. Only Bun
 * has a `server`; asked for it elsewhere, Elysia gives each context a getter of its own, which costs more than the gate.
 */
const source = (): string => `async function gate(c){return[c.set${'Bun' in globalThis ? ',c.server' : ''}]}`
