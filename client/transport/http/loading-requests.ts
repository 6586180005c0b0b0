// LoadingRequests: requests over plain HTTP, whose code is loaded with the first of them.
import type { ClientOptions } from '../../client-options.ts'
import { loadHttp } from './loading-transport.ts'
import type { ServerRequests } from './server-requests.ts'

export class LoadingRequests {
  readonly #options: ClientOptions
  #requests: ServerRequests | undefined
  #isClosed = false

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** @throws TypeError if the code cannot be loaded */
  async load(): Promise<ServerRequests> {
    const { ServerRequests: Requests } = await loadHttp()
    this.#requests ??= new Requests(this.#options)
    if (this.#isClosed) this.#requests.close()
    return this.#requests
  }

  /** The next request gets the access token again. */
  renew(): void {
    this.#requests?.renew()
  }

  /** Requests in progress reject with `closed`, and so do later ones. */
  close(): void {
    this.#isClosed = true
    this.#requests?.close()
  }
}
