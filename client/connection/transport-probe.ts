// TransportProbe: tests a better transport while the current one continues. The transport passes if it opens, answers a
// request, and stays open for a while. The connection then takes it over as it is.
//
//   opening ──welcome──► testing ──pong | live──► waiting ──► passed          any ──lost, or timeout──► failed
import type { ServerFrame, Welcome } from '@parley/protocol'
import type { Clock } from '../client-options.ts'
import { makeId } from '../make-id.ts'
import type { Door, DoorPolicy } from '../transport/door.ts'
import type { Loss, Transport, TransportHandler } from '../transport/transport.ts'

const IGNORE: TransportHandler = { frames: () => undefined, lost: () => undefined }

/** Forwards a transport's events to its current handler. */
export class Relay implements TransportHandler {
  #to: TransportHandler

  constructor(to = IGNORE) {
    this.#to = to
  }

  forwardTo(to: TransportHandler): void {
    this.#to = to
  }

  connected(): void {
    this.#to.connected?.()
  }

  frames(frames: readonly ServerFrame[]): void {
    this.#to.frames(frames)
  }

  lost(loss: Loss): void {
    this.#to.lost(loss)
  }
}

/** An open transport that has passed its probe, and its `welcome`. */
export interface ProbedTransport {
  readonly kind: Door
  readonly transport: Transport
  readonly relay: Relay
  readonly welcome: Welcome
}

/** A session, and a cursor, with which a probe tests a stream. */
export interface Sample {
  readonly session: string
  readonly after: string | undefined
}

export interface ProbePorts {
  readonly clock: Clock
  readonly policy: DoorPolicy
  open(kind: Door, handler: TransportHandler): Transport
  /** Called once, but not after `cancel`. @param probed undefined if the transport failed */
  done(probed: ProbedTransport | undefined): void
}

export class TransportProbe {
  readonly #ports: ProbePorts
  readonly #kind: Door
  readonly #sample: Sample | undefined
  readonly #relay: Relay
  readonly #transport: Transport
  #state: 'opening' | 'testing' | 'waiting' | 'ended' = 'opening'
  #welcome: Welcome | undefined
  #cancelTimer: (() => void) | undefined

  /** @param openMs timeout of opening it, in milliseconds */
  constructor(ports: ProbePorts, kind: Door, sample: Sample | undefined, openMs: number) {
    this.#ports = ports
    this.#kind = kind
    this.#sample = sample
    this.#relay = new Relay({
      connected: () => this.#limit(ports.policy.timeoutMs),
      frames: (frames) => this.#frames(frames),
      lost: () => this.#fail(),
    })
    this.#limit(openMs)
    this.#transport = ports.open(kind, this.#relay)
  }

  cancel(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#cancelTimer?.()
    this.#transport.close()
  }

  /** Fails after so many milliseconds. */
  #limit(ms: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#ports.clock.after(ms, () => this.#fail())
  }

  #frames(frames: readonly ServerFrame[]): void {
    for (const frame of frames) {
      if (this.#state === 'opening' && frame.type === 'welcome') this.#test(frame)
      else if (this.#state === 'testing' && (frame.type === 'pong' || frame.type === 'live')) this.#wait()
      else if (frame.type === 'error' || frame.type === 'goaway') this.#fail()
    }
  }

  #test(welcome: Welcome): void {
    const { policy } = this.#ports
    this.#welcome = welcome
    this.#state = 'testing'
    this.#limit(policy.timeoutMs + policy.stallMs)
    if (this.#kind === 'websocket') {
      this.#transport.send({ type: 'ping' })
      return
    }
    // Only a stream shows whether streams work.
    const { session, after } = this.#sample ?? {}
    if (session === undefined) return this.#fail()
    const id = makeId('att')
    this.#transport.send({ type: 'attach', id, session, merge: true, after })
  }

  #wait(): void {
    const { clock, policy } = this.#ports
    this.#state = 'waiting'
    this.#cancelTimer?.()
    this.#cancelTimer = clock.after(policy.holdMs, () => this.#pass())
  }

  #pass(): void {
    const welcome = this.#welcome
    if (this.#state !== 'waiting' || welcome === undefined) return
    this.#state = 'ended'
    this.#ports.done({ kind: this.#kind, transport: this.#transport, relay: this.#relay, welcome })
  }

  #fail(): void {
    if (this.#state === 'ended') return
    this.cancel()
    this.#ports.done(undefined)
  }
}
