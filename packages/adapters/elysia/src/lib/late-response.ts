/** A Response that is made in earnest only when somebody looks into it: on Node that costs more than all of the gate. */
export class LateResponse implements Response {
  readonly status: number
  readonly #make: () => Response
  #made: Response | undefined

  constructor(status: number, make: () => Response) {
    this.status = status
    this.#make = make
  }

  get #whole(): Response {
    return (this.#made ??= this.#make())
  }

  get ok(): boolean {
    return this.#whole.ok
  }
  get redirected(): boolean {
    return this.#whole.redirected
  }
  get statusText(): string {
    return this.#whole.statusText
  }
  get type(): Response['type'] {
    return this.#whole.type
  }
  get url(): string {
    return this.#whole.url
  }
  get headers(): Headers {
    return this.#whole.headers
  }
  get body(): Response['body'] {
    return this.#whole.body
  }
  get bodyUsed(): boolean {
    return this.#whole.bodyUsed
  }
  clone(): Response {
    return this.#whole.clone()
  }
  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#whole.arrayBuffer()
  }
  blob(): Promise<Blob> {
    return this.#whole.blob()
  }
  bytes(): ReturnType<Response['bytes']> {
    return this.#whole.bytes()
  }
  formData(): Promise<FormData> {
    return this.#whole.formData()
  }
  json(): Promise<unknown> {
    return this.#whole.json()
  }
  text(): Promise<string> {
    return this.#whole.text()
  }
}

// An `instanceof Response`, though its constructor, the dear part, was never called.
Object.setPrototypeOf(LateResponse.prototype, Response.prototype)
