// probeTransport: tests a better transport while the current one continues. The transport passes if it opens, answers a
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
  to: TransportHandler

  constructor(to = IGNORE) {
    this.to = to
  }

  connected(): void {
    this.to.connected?.()
  }

  frames(frames: readonly ServerFrame[]): void {
    this.to.frames(frames)
  }

  lost(loss: Loss): void {
    this.to.lost(loss)
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

/**
 * @param sample a session with which to test a stream; undefined: there is none
 * @param openMs timeout of opening the transport, in milliseconds
 * @returns a function that cancels the probe
 */
export function probeTransport(ports: ProbePorts, kind: Door, sample: Sample | undefined, openMs: number): () => void {
  const { clock, policy } = ports
  let state: 'opening' | 'testing' | 'waiting' | 'ended' = 'opening'
  let welcome: Welcome
  let cancelTimer = clock.after(openMs, () => fail())
  const relay = new Relay({
    connected: () => enter('opening', policy.timeoutMs, fail),
    frames(frames) {
      for (const frame of frames) {
        if (state === 'opening' && frame.type === 'welcome') {
          welcome = frame
          enter('testing', policy.timeoutMs + policy.stallMs, fail)
          test()
        } else if (state === 'testing' && (frame.type === 'pong' || frame.type === 'live')) {
          enter('waiting', policy.holdMs, pass)
        } else if (frame.type === 'error' || frame.type === 'goaway') fail()
      }
    },
    lost: () => fail(),
  })
  const transport = ports.open(kind, relay)
  const enter = (next: typeof state, ms: number, then: () => void): void => {
    state = next
    cancelTimer()
    cancelTimer = clock.after(ms, then)
  }
  const test = (): void => {
    if (kind === 'websocket') transport.send({ type: 'ping' })
    // Only a stream shows whether streams work.
    else if (sample === undefined) fail()
    else transport.send({ type: 'attach', id: makeId('att'), ...sample, merge: true })
  }
  const pass = (): void => {
    state = 'ended'
    ports.done({ kind, transport, relay, welcome })
  }
  const cancel = (): void => {
    if (state === 'ended') return
    state = 'ended'
    cancelTimer()
    transport.close()
  }
  const fail = (): void => {
    if (state === 'ended') return
    cancel()
    ports.done(undefined)
  }
  return cancel
}
