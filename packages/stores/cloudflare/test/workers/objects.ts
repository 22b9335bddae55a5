import { PaymentStore, type ObjectState } from '../../src/index.ts'

/** The object, with a way to break it: everything it was doing fails, and it begins anew on what is durable. */
export class BreakableStore extends PaymentStore {
  readonly #state: ObjectState & { abort(reason: string): void }

  constructor(state: ObjectState & { abort(reason: string): void }) {
    super(state)
    this.#state = state
  }

  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === '/abort') this.#state.abort('broken by the test')
    return super.fetch(request)
  }
}

export default { fetch: () => new Response('objects') }
