// ConnectionIdentity: who uses a WebSocket. It verifies the access token of the upgrade request or of `hello`, watches its
// expiry, and accepts fresh tokens. A failure that is not the client's ends the connection with a code that allows a reconnect.
import { Disconnect, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Authenticator, Identity } from '../../auth/authenticator.ts'
import { TokenClock, type TokenClockEvents } from '../../auth/token-clock.ts'

export interface ConnectionIdentityPorts {
  readonly authenticator: Authenticator
  readonly logger: Logger
}

export interface ConnectionIdentityEvents {
  /** The connection. */
  readonly id: string
  /** @param until Unix milliseconds */
  expiring(until: number): void
  end(disconnect: Disconnect): void
}

export class ConnectionIdentity implements TokenClockEvents {
  readonly #ports: ConnectionIdentityPorts
  readonly #events: ConnectionIdentityEvents
  /** Until it is used: a connection may live for days. */
  #early: Promise<Identity> | undefined
  /** Set if the access token expires. */
  #clock: TokenClock | undefined
  /** Whether the latest fresh token could not be verified. */
  #unverified = false

  /** @param token the token of the upgrade request, if it has one */
  constructor(ports: ConnectionIdentityPorts, events: ConnectionIdentityEvents, token: string | undefined) {
    this.#ports = ports
    this.#events = events
    if (token === undefined) return
    this.#early = ports.authenticator.authenticate(token)
    this.#early.catch((error: unknown) => this.#refuse(error))
  }

  /** @returns undefined if the token was refused, and the connection ended */
  async verify(token: string | undefined): Promise<Identity | undefined> {
    try {
      const identity = await (this.#early ?? this.#ports.authenticator.authenticate(token))
      this.#early = undefined
      return identity
    } catch (error) {
      this.#refuse(error)
      return undefined
    }
  }

  /** @param user the connection's user @throws ReplyError */
  async renew(token: string, user: string): Promise<Identity> {
    try {
      this.#unverified = false
      const fresh = await this.#ports.authenticator.authenticate(token)
      if (fresh.user !== user) throw new ReplyError('forbidden', 'The new access token belongs to another user.')
      return fresh
    } catch (error) {
      if (!(error instanceof ReplyError)) this.#logDefect(error)
      this.#unverified = !(error instanceof ReplyError) || error.retryable
      throw error instanceof ReplyError ? error : new ReplyError('internal')
    }
  }

  /** @param until Unix milliseconds; undefined: the access token never expires */
  watch(until: number | undefined): void {
    if (until !== undefined) this.#clock ??= new TokenClock(this)
    this.#clock?.start(until)
  }

  close(): void {
    this.#clock?.stop()
  }

  expiring(until: number): void {
    this.#events.expiring(until)
  }

  expired(): void {
    // The client has a fresh token, which the server could not verify.
    const close = this.#unverified ? 'internal' : 'notAuthenticated'
    this.#events.end(new Disconnect(close, 'the access token has expired'))
  }

  #refuse(error: unknown): void {
    const isKnown = error instanceof ReplyError
    if (!isKnown) this.#logDefect(error)
    if (isKnown && !error.retryable) this.#events.end(new Disconnect('notAuthenticated'))
    else this.#events.end(new Disconnect('internal', 'the access token cannot be verified at the moment'))
  }

  #logDefect(error: unknown): void {
    this.#ports.logger.error({ err: error, connection: this.#events.id }, 'failed to verify an access token')
  }
}
