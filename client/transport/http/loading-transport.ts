// Plain HTTP on demand: most pages need only the WebSocket. The code is loaded with its first use, or in the background once a
// WebSocket is open, so that a network that blocks WebSockets later finds it.
import type { ClientFrame } from '@parley/protocol'
import type { Logger } from '../../client-options.ts'
import type { Door } from '../door.ts'
import { ABNORMAL, type Transport, type TransportHandler, type TransportOptions } from '../transport.ts'

type HttpDoor = Exclude<Door, 'websocket'>

type Http = typeof import('./http.ts')

let loaded: Http | undefined

/** Loads the code in the background. If that fails, the first HTTP transport tries again. */
export function preloadHttp(logger: Logger | undefined): void {
  loadHttp().catch((error: unknown) => {
    logger?.debug({ err: error }, 'failed to load the code of the HTTP transports')
  })
}

/** @throws TypeError if the code cannot be loaded; a later call tries again */
export async function loadHttp(): Promise<Http> {
  loaded ??= await import('./http.ts')
  return loaded
}

export function openHttp(kind: HttpDoor, options: TransportOptions, handler: TransportHandler): Transport {
  const Transport = loaded?.HttpTransport ?? LoadingTransport
  return new Transport(kind, options, handler)
}

/** An HTTP transport whose code is being loaded. */
class LoadingTransport implements Transport {
  #transport: Transport | undefined
  #isClosed = false

  constructor(kind: HttpDoor, options: TransportOptions, handler: TransportHandler) {
    loadHttp().then(
      ({ HttpTransport }) => {
        if (!this.#isClosed) this.#transport = new HttpTransport(kind, options, handler)
      },
      (error: unknown) => {
        options.logger?.debug({ err: error, door: kind }, 'failed to load the code of a transport')
        if (!this.#isClosed) handler.lost({ kind: 'unreachable', code: ABNORMAL, reason: 'its code cannot be loaded' })
      },
    )
  }

  /** Before the code is loaded, there is no `welcome`, so nothing is sent. */
  send(frame: ClientFrame): void {
    this.#transport?.send(frame)
  }

  close(): void {
    this.#isClosed = true
    this.#transport?.close()
  }

  releaseTools(): void {
    this.#transport?.releaseTools?.()
  }

  renew(): void {
    this.#transport?.renew()
  }
}
