// TransportProbe: tries a better door on the side, while the link in use goes on. A door has passed when a link through it
// opened, brought what it was asked for, and held for a while; that link is then handed over, open as it is.
//
//   opening ──welcome──► asking ──pong | live──► holding ──► passed          any ──lost, or too late──► failed
import type { ServerFrame, Welcome } from '@parley/protocol'
import { makeId } from '@parley/protocol/make-id'
import type { Clock } from '../client-options.ts'
import type { Door, DoorPolicy } from '../transport/door.ts'
import type { Loss, Transport, TransportHandler } from '../transport/transport.ts'

const NOBODY: TransportHandler = { frames: () => undefined, lost: () => undefined }

/** Passes on what a link says, to whoever listens at the time. */
export class Relay implements TransportHandler {
  #to: TransportHandler

  constructor(to = NOBODY) {
    this.#to = to
  }

  lead(to: TransportHandler): void {
    this.#to = to
  }

  frames(frames: readonly ServerFrame[]): void {
    this.#to.frames(frames)
  }

  lost(loss: Loss): void {
    this.#to.lost(loss)
  }
}

/** A link that has passed, with what it said when it opened. */
export interface Found {
  readonly door: Door
  readonly link: Transport
  readonly relay: Relay
  readonly welcome: Welcome
}

/** A session to read for a try, and from where. */
export interface Sample {
  readonly session: string
  readonly after: string | undefined
}

export interface ProbePorts {
  readonly clock: Clock
  readonly policy: DoorPolicy
  open(door: Door, handler: TransportHandler): Transport
  /** Called once, but not after `cancel`. */
  done(found: Found | undefined): void
}

export class TransportProbe {
  readonly #ports: ProbePorts
  readonly #door: Door
  readonly #sample: Sample | undefined
  readonly #relay: Relay
  readonly #link: Transport
  #state: 'opening' | 'asking' | 'holding' | 'over' = 'opening'
  #welcome: Welcome | undefined
  #cancelTimer: () => void

  constructor(ports: ProbePorts, door: Door, sample: Sample | undefined) {
    this.#ports = ports
    this.#door = door
    this.#sample = sample
    this.#relay = new Relay({ frames: (frames) => this.#frames(frames), lost: () => this.#fail() })
    this.#cancelTimer = ports.clock.after(ports.policy.timeoutMs, () => this.#fail())
    this.#link = ports.open(door, this.#relay)
  }

  cancel(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#cancelTimer()
    this.#link.close()
  }

  #frames(frames: readonly ServerFrame[]): void {
    for (const frame of frames) {
      if (this.#state === 'opening' && frame.type === 'welcome') this.#ask(frame)
      else if (this.#state === 'asking' && (frame.type === 'pong' || frame.type === 'live')) this.#hold()
      else if (frame.type === 'error' || frame.type === 'goaway') this.#fail()
    }
  }

  #ask(welcome: Welcome): void {
    const { clock, policy } = this.#ports
    this.#welcome = welcome
    this.#state = 'asking'
    this.#cancelTimer()
    this.#cancelTimer = clock.after(policy.timeoutMs + policy.stallMs, () => this.#fail())
    if (this.#door === 'websocket') {
      this.#link.send({ type: 'ping' })
      return
    }
    // Only a stream tells whether streams come through.
    const { session, after } = this.#sample ?? {}
    if (session === undefined) return this.#fail()
    const id = makeId('att')
    this.#link.send({ type: 'attach', id, session, merge: true, ...(after === undefined ? {} : { after }) })
  }

  #hold(): void {
    const { clock, policy } = this.#ports
    this.#state = 'holding'
    this.#cancelTimer()
    this.#cancelTimer = clock.after(policy.holdMs, () => this.#pass())
  }

  #pass(): void {
    const welcome = this.#welcome
    if (this.#state !== 'holding' || welcome === undefined) return
    this.#state = 'over'
    this.#ports.done({ door: this.#door, link: this.#link, relay: this.#relay, welcome })
  }

  #fail(): void {
    if (this.#state === 'over') return
    this.cancel()
    this.#ports.done(undefined)
  }
}
