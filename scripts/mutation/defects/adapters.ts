import { defectsIn } from './types.ts'

const server = 'packages/server/src/lib'
const node = 'packages/adapters/node/src/lib'

/** What stands between a framework and the gate. */
export const adapters = [
  ...defectsIn(`${server}/adapter.ts`, [
    {
      id: 'second-gate-unnoticed',
      find: 'if (payments.get(key)) throw twoGates()',
      replace: '',
      says: 'one request is charged twice',
    },
    {
      id: 'payment-of-nobody',
      find: '      if (!payment)\n        throw',
      replace: '      if (!payment && false)\n        throw',
      says: 'a handler without a gate believes in a payment',
    },
  ]),
  ...defectsIn(`${server}/deliver.ts`, [
    {
      id: 'deliver-headers-never',
      find: 'for (const [name, value] of added) dressed.headers.set(name, value)\n  } catch {',
      replace: '} catch {',
      says: 'a paid answer is neither receipted nor private',
    },
    {
      id: 'deliver-headers-appended',
      find: 'for (const [name, value] of added) dressed.headers.set(name, value)\n  } catch {',
      replace: 'for (const [name, value] of added) dressed.headers.append(name, value)\n  } catch {',
      says: 'the handler’s "public" survives beside "private"',
    },
    {
      id: 'deliver-keep-not-awaited',
      find: 'await grant.keep({ status, headers: [...headers], body: bytes })',
      replace: 'void grant.keep({ status, headers: [...headers], body: bytes })',
      says: 'an answer leaves before it is kept',
    },
    {
      id: 'deliver-finish-never',
      find: 'void grant.finish({ status, reached }).then(settle)',
      replace: '',
      says: 'nobody learns how a paid answer ended',
    },
    {
      id: 'deliver-cut-is-all',
      find: "report(outgoing.headersSent ? outgoing.statusCode : GONE, 'some')",
      replace: "report(outgoing.headersSent ? outgoing.statusCode : GONE, 'all')",
      says: 'a cut stream counts as delivered',
    },
    {
      id: 'deliver-gone-is-delivered',
      find: "report(outgoing.headersSent ? outgoing.statusCode : GONE, 'some')",
      replace: "report(outgoing.statusCode, 'all')",
      says: 'a buyer who left before the answer has lost his money',
    },
    {
      id: 'deliver-buffers',
      find: 'const response = dress(answer, grant)',
      replace:
        'const response = dress(new Response(answer.body && (await answer.arrayBuffer()), answer), grant)',
      says: 'a stream is held back until its end',
    },
    {
      id: 'deliver-throw-swallowed',
      find: "    if (!told) report(500, 'nothing')\n    throw error",
      replace: "    if (!told) report(500, 'nothing')\n    return new Response('error', { status: 500 })",
      says: 'the framework never hears of a handler’s error',
    },
  ]),
  ...defectsIn(`${server}/web.ts`, [
    {
      id: 'web-limit-ignored',
      find: '    if (size > limit) {\n',
      replace: '    if (size > limit && false) {\n',
      says: 'anybody fills the server’s memory',
    },
    {
      id: 'web-length-ignored',
      find: '  if (Number(length) > limit) throw tooLarge(limit)\n',
      replace: '',
      says: 'a body that says that it is too large is read',
    },
    {
      id: 'loopback-everywhere',
      find: "return isLoopback(remoteAddress) ? 'loopback' : 'plain'",
      replace: "return 'plain'",
      says: 'no payment can be tried at home',
    },
  ]),
  ...defectsIn(`${server}/fetch.ts`, [
    {
      id: 'fetch-target-normalised',
      find: 'env?.incoming?.url ?? targetOf(request.url)',
      replace: 'targetOf(request.url)',
      says: '/cheap/../dear is priced as what a parser made of it',
    },
    {
      id: 'fetch-body-gone',
      find: 'const fresh = body ? new Request(request, { body: body as BodyInit }) : request',
      replace: 'const fresh = body ? new Request(request.url, { method: request.method }) : request',
      says: 'the handler finds the body eaten',
    },
    {
      id: 'fetch-handler-anyway',
      find: "if (decision.kind === 'respond') return toResponse(decision.answer)",
      replace:
        "if (decision.kind === 'respond') {\n        await handler(request.clone() as Request, ...rest)\n        return toResponse(decision.answer)\n      }",
      says: 'the handler runs for who has not paid',
    },
    {
      id: 'fetch-payment-unknown',
      find: '      payments.set(fresh, decision.grant.payment)\n',
      replace: '',
      says: 'a handler with a body cannot see its payment',
    },
  ]),
  ...defectsIn('packages/adapters/hono/src/index.ts', [
    {
      id: 'hono-second-gate',
      find: '    payments.check(c)\n',
      replace: '',
      says: 'one request is charged twice',
    },
    {
      id: 'hono-last-challenge-only',
      find: 'fields[name] = held === undefined ? value : [held, value].flat()',
      replace: 'fields[name] = value',
      says: 'of several rails one is offered',
    },
    {
      id: 'hono-old-headers',
      find: '      c.res = undefined\n',
      replace: '',
      says: 'an answer inherits the headers of the one it replaces',
    },
    {
      id: 'hono-runs-unpaid',
      find: "if (decision.kind === 'respond') return respond(c, decision.answer, middleware)",
      replace:
        "if (decision.kind === 'respond') {\n      await next()\n      return respond(c, decision.answer, middleware)\n    }",
      says: 'the handler runs for who has not paid',
    },
  ]),
  ...defectsIn('packages/adapters/hono/src/lib/incoming.ts', [
    {
      id: 'hono-target-normalised',
      find: '(c.env as Beside | undefined)?.incoming?.url ?? targetOf(url)',
      replace: 'targetOf(url)',
      says: '/cheap/../dear is priced as what a parser made of it',
    },
    {
      id: 'hono-body-gone',
      find: 'if (cached === undefined) req.bodyCache.arrayBuffer = Promise.resolve(bytes.slice().buffer) as never',
      replace: '',
      says: 'the handler finds the body eaten',
    },
    {
      id: 'hono-limit-ignored',
      find: "    if (bytes.length > limit)\n      throw new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)\n",
      replace: '',
      says: 'a body that a parser read is bound whatever its size',
    },
  ]),
  ...defectsIn('packages/adapters/express/src/index.ts', [
    {
      id: 'express-path-without-prefix',
      find: 'incoming(req, res, req.originalUrl)',
      replace: 'incoming(req, res, req.url)',
      says: 'two mounted routes of one path share their payments',
    },
    {
      id: 'express-second-gate',
      find: '      payments.check(req)\n',
      replace: '',
      says: 'one request is charged twice',
    },
    {
      id: 'express-unwatched',
      find: '        watch(res, decision.grant)\n',
      replace: '',
      says: 'a paid answer has no receipt and no end',
    },
    {
      id: 'express-runs-unpaid',
      find: "if (decision.kind === 'respond') return send(res, decision.answer)",
      replace: "if (decision.kind === 'respond') send(res, decision.answer)",
      says: 'the handler runs for who has not paid',
    },
    {
      id: 'express-error-swallowed',
      find: "return next(error instanceof Error ? error : new Error('mppkit: the gate threw', { cause: error }))",
      replace: "return void res.status(500).send('')",
      says: 'the framework never hears of a mistake',
    },
  ]),
  ...defectsIn(`${node}/body.ts`, [
    {
      id: 'node-body-gone',
      find: 'if (size > 0 && !req.readableEnded) for (const chunk of chunks.toReversed()) req.unshift(chunk)',
      replace: '',
      says: 'the parser behind the gate finds no body',
    },
    {
      id: 'node-body-reversed',
      find: 'for (const chunk of chunks.toReversed()) req.unshift(chunk)',
      replace: 'for (const chunk of chunks) req.unshift(chunk)',
      says: 'the parser gets the pieces in the wrong order',
    },
    {
      id: 'node-limit-ignored',
      find: '        if (size > limit) return settle(tooLarge(limit))\n',
      replace: '',
      says: 'anybody fills the server’s memory',
    },
    {
      id: 'node-parsed-is-empty',
      find: "      throw new BodyError('consumed', CONSUMED)",
      replace: '      return new Uint8Array(0)',
      says: 'behind a parser every body is bound as no body',
    },
    {
      id: 'node-remembers-nothing',
      find: '  bodies.set(req, bytes)\n}',
      replace: '}',
      says: 'what a parser has kept is not found',
    },
  ]),
  ...defectsIn(`${node}/incoming.ts`, [
    {
      id: 'node-first-line-only',
      find: 'found = found === null ? value : `${found}, ${value}`',
      replace: 'found ??= value',
      says: 'of two Authorization lines the first is taken',
    },
    {
      id: 'node-last-line-only',
      find: 'found = found === null ? value : `${found}, ${value}`',
      replace: 'found = value',
      says: 'of two Authorization lines the last is taken',
    },
  ]),
  ...defectsIn(`${node}/send.ts`, [
    {
      id: 'node-last-challenge-only',
      find: 'fields[name] = held === undefined ? value : [held, value].flat()',
      replace: 'fields[name] = value',
      says: 'of several rails one is offered',
    },
    {
      id: 'node-rest-unread',
      find: '  discard(res.req)\n}',
      replace: '}',
      says: 'a client that sends everything before it reads waits for ever',
    },
  ]),
  ...defectsIn(`${node}/watch.ts`, [
    {
      id: 'node-headers-never',
      find: 'for (const [name, value] of added) res.setHeader(name, value)',
      replace: '',
      says: 'a paid answer is neither receipted nor private',
    },
    {
      id: 'node-keep-not-awaited',
      find: '      .keep({ status: res.statusCode, headers: this.#head, body })\n      .then(release)',
      replace:
        '      .keep({ status: res.statusCode, headers: this.#head, body })\n    void Promise.resolve()\n      .then(release)',
      says: 'an answer leaves before it is kept',
    },
    {
      id: 'node-finish-never',
      find: 'void this.#grant.finish({ status: this.#sent ?? (headersSent ? statusCode : 499), reached })',
      replace: '',
      says: 'nobody learns how a paid answer ended',
    },
    {
      id: 'node-cut-is-all',
      find: "(this as Watched)[WATCH].report('some')",
      replace: "(this as Watched)[WATCH].report('all')",
      says: 'a cut stream counts as delivered',
    },
    {
      id: 'node-cut-is-nothing',
      find: "(this as Watched)[WATCH].report('some')",
      replace: "(this as Watched)[WATCH].report('nothing')",
      says: 'whoever leaves at the last byte gets the money back',
    },
    {
      id: 'node-stream-held',
      find: "    if (this.#phase === 'held') return false\n    this.#phase = 'streaming'",
      replace: "    if (this.#phase === 'held') return false",
      says: 'a stream’s last piece is taken for the whole answer',
    },
    {
      id: 'node-cookies-merged',
      find: '[value ?? []].flat().map((line): [string, string] => [name, String(line)])',
      replace: "[[name, String([value ?? []].flat().join(', '))] as [string, string]]",
      says: 'of a kept answer’s cookies one is left',
    },
  ]),
]
