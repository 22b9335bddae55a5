// For the reproductions: Next alone.
export function GET(request: Request): Response {
  return Response.json({ url: request.url, authorization: request.headers.get('authorization') })
}
