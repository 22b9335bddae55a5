import { mpp } from '../../lib/mpp.ts'
import { told } from '../../lib/told.ts'

/** Two pieces; the second when the buyer has had a second for the first, or has gone. */
export const GET = mpp.charge({ amount: '0.01' })(async (request) => {
  const { signal } = request
  const encoder = new TextEncoder()
  return new Response(
    new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode('first'))
        await new Promise<void>((resolve) => {
          setTimeout(resolve, 1000)
          signal.addEventListener('abort', () => resolve())
        })
        told.push(signal.aborted ? 'gone' : 'stayed')
        if (signal.aborted) return
        controller.enqueue(encoder.encode('last'))
        controller.close()
      },
    }),
  )
})
