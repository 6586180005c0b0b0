// LoadingCaller: requests over plain HTTP, whose code is loaded with the first of them.
import type { ClientOptions } from '../../client-options.ts'
import type { RetriedRequest, RetryingCaller } from './retrying-caller.ts'

export class LoadingCaller {
  readonly #options: ClientOptions
  #caller: RetryingCaller | undefined
  #isClosed = false

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** @returns the answer's body @throws ParleyError; TypeError if the code cannot be loaded */
  async request(request: RetriedRequest): Promise<unknown> {
    const { RetryingCaller: Caller } = await import('./retrying-caller.ts')
    this.#caller ??= new Caller(this.#options)
    if (this.#isClosed) this.#caller.close()
    return this.#caller.request(request)
  }

  /** The next request gets the access token again. */
  renew(): void {
    this.#caller?.renew()
  }

  /** Requests in progress reject with `closed`, and so do later ones. */
  close(): void {
    this.#isClosed = true
    this.#caller?.close()
  }
}
