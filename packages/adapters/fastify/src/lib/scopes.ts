import { twoGates } from '@mppkit/server'
import type { FastifyPluginCallback, onRequestHookHandler, preParsingHookHandler } from 'fastify'

/** The two halves of a gate. */
export interface Hooks {
  preParsing: preParsingHookHandler
  preHandler: onRequestHookHandler
}

/** Scopes whose every route is guarded by a plugin. */
const guarded = new WeakSet<object>()
/** Scopes with a route that carries a gate in its own options. */
const carrying = new WeakSet<object>()

/** Registers the hooks for the scope that the plugin is registered in, and for all below; finds a second gate at the start. */
export function scopePlugin({ preParsing, preHandler }: Hooks): FastifyPluginCallback {
  const plugin: FastifyPluginCallback = (instance, _options, done) => {
    const scopes: object[] = []
    const cover = (scope: object): void => {
      guarded.add(scope)
      scopes.push(scope)
    }
    if (guarded.has(instance)) return done(twoGates())
    cover(instance)
    instance.addHook('onRegister', cover)
    instance.addHook('preParsing', preParsing)
    instance.addHook('preHandler', preHandler)
    // Not onRoute: it misses the routes that were declared while this plugin was still waiting to be loaded.
    instance.addHook('onReady', () => {
      if (scopes.some((scope) => carrying.has(scope))) throw twoGates()
    })
    done()
  }
  return Object.assign(plugin, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'mppkit',
  })
}

/** The hooks for a route's own options; `whole` says whether every such route still has both. */
export function routeHooks({ preParsing, preHandler }: Hooks): Hooks & { whole(this: void): boolean } {
  // Fastify binds one route after the other: counted for all together, a half of one would make up for that of another.
  let isOpen = false
  let isHalved = false
  return {
    preParsing: noticed(preParsing, () => {
      isHalved ||= isOpen
      isOpen = true
    }),
    preHandler: noticed(preHandler, () => {
      isHalved ||= !isOpen
      isOpen = false
    }),
    whole: () => !isHalved && !isOpen,
  }
}

/** Fastify binds the hooks of each route to its scope when it starts: the one moment when a route's options learn where they are. */
function noticed<Hook extends { bind(scope: object): unknown }>(hook: Hook, notice: () => void): Hook {
  const bind = (scope: object): Hook => {
    carrying.add(scope)
    notice()
    return hook
  }
  // On a copy: a plugin registers the same function, which is bound as well.
  return Object.assign(hook.bind({}) as Hook, { bind })
}
