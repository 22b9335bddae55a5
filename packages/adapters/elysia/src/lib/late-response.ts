/** A Response that is made in earnest only when somebody looks into it: on Node that costs more than all of the gate. */
export class LateResponse extends Response {
  readonly #make: () => Response
  #made: Response | undefined

  constructor(status: number, make: () => Response) {
    super(null, { status })
    this.#make = make
  }

  get #whole(): Response {
    return (this.#made ??= this.#make())
  }

  override get headers(): Headers {
    return this.#whole.headers
  }
  override get body(): Response['body'] {
    return this.#whole.body
  }
  override get bodyUsed(): boolean {
    return this.#whole.bodyUsed
  }
  override clone(): Response {
    return this.#whole.clone()
  }
  override arrayBuffer(): Promise<ArrayBuffer> {
    return this.#whole.arrayBuffer()
  }
  override blob(): Promise<Blob> {
    return this.#whole.blob()
  }
  override bytes(): ReturnType<Response['bytes']> {
    return this.#whole.bytes()
  }
  override formData(): Promise<FormData> {
    return this.#whole.formData()
  }
  override json(): Promise<unknown> {
    return this.#whole.json()
  }
  override text(): Promise<string> {
    return this.#whole.text()
  }
}
