// TransportSelector: the stateful shell around transport-choice.ts. It remembers what works, and probes better
// transports.
import { DELAYS_SOCKETS, isHidden } from '#platform'
import type { Clock, Logger } from '../client-options.ts'
import type { Door, DoorPolicy } from '../transport/door.ts'
import { STABLE_MS } from '../transport/door.ts'
import type { Loss, Transport, TransportHandler } from '../transport/transport.ts'
import {
  betterTransports,
  type ChoiceEvent,
  newChoice,
  nextChoice,
  opening,
  preferring,
  probeDelay,
  type TransportChoice,
  type TransportOrder,
  type TransportState,
  transportOf,
} from './transport-choice.ts'
import type { TransportMemory } from './transport-memory.ts'
import { type ProbedTransport, probeTransport, type Sample } from './transport-probe.ts'

/** Firefox delays a WebSocket by up to 60 s after others have failed, in any tab. In milliseconds. */
const PATIENT_MS = 65_000

export interface SelectorPorts {
  readonly clock: Clock
  readonly logger: Logger | undefined
  readonly policy: DoorPolicy
  readonly memory: TransportMemory
  open(kind: Door, handler: TransportHandler): Transport
  /** An attached session for a probe. */
  sample(): Sample | undefined
  /** Moves the connection to a better transport, which is open. */
  moveTo(probed: ProbedTransport): void
}

export class TransportSelector {
  readonly #ports: SelectorPorts
  #choice: TransportChoice
  #state: TransportState
  #cancelStableTimer: (() => void) | undefined
  #cancelProbeTimer: (() => void) | undefined
  #cancelProbe: (() => void) | undefined
  /** The current transport has been open for STABLE_MS. */
  #isStable = false
  #stopLearning: (() => void) | undefined
  /** The last remembered transport and order. */
  #remembered: string | undefined

  constructor(order: TransportOrder, ports: SelectorPorts) {
    this.#ports = ports
    const known = ports.memory.recall()
    this.#choice = newChoice(order.length > 1 ? (known?.order ?? order) : order, known?.kind)
    if (known !== undefined) this.#remembered = keyOf(this.#choice)
    this.#state = transportOf(this.#choice)
  }

  /** The same object until something changes. */
  get state(): TransportState {
    return this.#state
  }

  /** The transport to open next. While the server may be away, it is not the one that `state` names. */
  get opening(): Door {
    return opening(this.#choice)
  }

  /** Whether there is another transport to try. */
  get hasAlternatives(): boolean {
    return this.#choice.order.length > 1
  }

  /**
   * Takes the server's order of preference from its `welcome` over `opening`.
   * @returns whether the connection must open another transport before it uses this one
   */
  welcomed(names: readonly string[] | undefined): boolean {
    const opened = this.opening
    this.#apply({ type: 'preferred', order: preferring(names) })
    if (opened !== 'websocket') this.#apply({ type: 'answered' })
    return this.opening !== opened
  }

  opened(): void {
    this.#apply({ type: 'opened' })
    this.#cancelStableTimer = this.#ports.clock.after(STABLE_MS, () => {
      this.#apply({ type: 'stable' })
      this.#isStable = true
      this.#remember()
      if (DELAYS_SOCKETS && this.hasAlternatives && !this.#choice.httpWorks) this.#learnHttp()
    })
    this.#scheduleProbe()
  }

  /** @returns whether the connection opens another transport, which needs no long wait */
  lost(loss: Loss, openMs: number): boolean {
    this.close()
    const before = this.opening
    this.#apply({ ...loss, type: 'lost', openMs })
    const { check, order } = this.#choice
    // The server may be away, after a break as after a move upwards: then plain HTTP did not work either.
    if (loss.kind === 'broken' && check === 'asking') return false
    return order.indexOf(this.opening) > order.indexOf(before)
  }

  close(): void {
    this.#cancelStableTimer?.()
    this.#cancelProbeTimer?.()
    this.#cancelProbe?.()
    this.#isStable = false
    this.#stopLearning?.()
  }

  #remember(): void {
    const { current, inconclusive, order } = this.#choice
    if (!this.#isStable || inconclusive) return
    const key = keyOf(this.#choice)
    if (key === this.#remembered) return
    this.#remembered = key
    this.#ports.memory.keep({ kind: current, order })
  }

  /** Asks once over plain HTTP, so that the client knows later what an unanswered request means. */
  #learnHttp(): void {
    const stop = (): void => {
      this.#stopLearning = undefined
      transport.close()
    }
    const transport = this.#ports.open('long-poll', {
      frames: () => {
        stop()
        this.#apply({ type: 'answered' })
      },
      lost: stop,
    })
    this.#stopLearning = stop
  }

  /** Starts the timer of the next probe, if a transport is better. */
  #scheduleProbe(): void {
    const { clock, policy } = this.#ports
    const delay = probeDelay(this.#choice, policy, clock.random())
    this.#cancelProbeTimer?.()
    if (delay === undefined) return
    this.#cancelProbeTimer = clock.after(delay, () => {
      // A hidden page holds no stream, so it cannot test streams.
      if (isHidden()) this.#scheduleProbe()
      else this.#probeNext(betterTransports(this.#choice))
    })
  }

  /** Probes the candidates one after the other, best first. */
  #probeNext([better, ...others]: readonly Door[]): void {
    if (better === undefined) {
      this.#apply({ type: 'probed' })
      this.#remember()
      this.#scheduleProbe()
      return
    }
    const done = (probed: ProbedTransport | undefined): void => {
      this.#cancelProbe = undefined
      this.#ports.logger?.debug({ door: better, holds: probed !== undefined }, 'probed a better transport')
      if (probed === undefined) {
        this.#probeNext(others)
        return
      }
      this.#cancelStableTimer?.()
      this.#isStable = false
      this.#apply({ type: 'probed', better })
      this.#ports.moveTo(probed)
    }
    const openMs = better === 'websocket' && this.#choice.inconclusive ? PATIENT_MS : this.#ports.policy.timeoutMs
    this.#cancelProbe = probeTransport({ ...this.#ports, done }, better, this.#ports.sample(), openMs)
  }

  #apply(event: ChoiceEvent): void {
    this.#choice = nextChoice(this.#choice, event)
    const next = transportOf(this.#choice)
    const { door, why, moves } = this.#state
    if (door !== next.door || why !== next.why || moves !== next.moves) this.#state = next
  }
}

function keyOf({ current, order }: TransportChoice): string {
  return `${current} of ${order.join(',')}`
}
