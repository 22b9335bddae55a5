/** Some statuses may have no body, not even an empty one. */
export function responseOf(
  status: number,
  headers: [string, string][],
  body: Uint8Array | ReadableStream,
): Response {
  return new Response([204, 205, 304].includes(status) ? null : (body as BodyInit), { status, headers })
}
