/**
 * Runs a handler and gives the answer that Next will send for it: a `Response`, or what `redirect()`, `notFound()` and
 * their like stand for. Next would make that outside of the guard, where nothing can be added to it.
 * @throws TypeError for what Next refuses to send; else what the handler throws
 */
export async function answered(run: () => Response | Promise<Response>, request: Request): Promise<Response> {
  let response: Response
  try {
    response = await run()
  } catch (error) {
    const answer = answerFor(error, request)
    if (answer) return answer
    throw error
  }
  // Next would fail as well, but only after this answer has been taken for a delivery.
  const refused =
    !(response instanceof Response) ||
    response.headers.has('x-middleware-rewrite') ||
    response.headers.has('x-middleware-next')
  if (refused) throw new TypeError(NO_ANSWER)
  return response
}

const NO_ANSWER =
  'mppkit: the handler of a paid request must return a Response. NextResponse.next() and NextResponse.rewrite() are for proxy.ts'

function answerFor(error: unknown, request: Request): Response | undefined {
  const digest = error instanceof Error && 'digest' in error ? error.digest : undefined
  if (typeof digest !== 'string') return undefined
  const parts = digest.split(';')
  if (parts[0] === 'NEXT_HTTP_ERROR_FALLBACK' && ['401', '403', '404'].includes(parts[1] ?? ''))
    return new Response(null, { status: Number(parts[1]) })
  // NEXT_REDIRECT;replace;/a;b;307; where the address may hold semicolons.
  const status = Number(parts.at(-2))
  if (parts[0] !== 'NEXT_REDIRECT' || ![303, 307, 308].includes(status)) return undefined
  const location = parts.slice(2, -2).join(';')
  return new Response(null, { status: isForm(request) ? 303 : status, headers: { location } })
}

/** Next takes the post of a form for a server action, after which a browser must not post again. */
function isForm({ method, headers }: Request): boolean {
  const type = headers.get('content-type') ?? ''
  return (
    method === 'POST' &&
    (headers.has('next-action') ||
      type === 'application/x-www-form-urlencoded' ||
      type.startsWith('multipart/form-data'))
  )
}
