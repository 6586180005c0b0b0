// TransportSelector: the stateful shell around transport-choice.ts. It remembers what works, and probes better
// transports.
import { isHidden } from '#platform'
import type { Clock, Logger } from '../client-options.ts'
import type { Door, DoorPolicy } from '../transport/door.ts'
import { STABLE_MS } from '../transport/door.ts'
import type { Loss, Transport, TransportHandler } from '../transport/transport.ts'
import {
  betterTransports,
  type ChoiceEvent,
  newChoice,
  nextChoice,
  preferring,
  probeDelay,
  type TransportChoice,
  type TransportOrder,
  type TransportState,
  transportOf,
} from './transport-choice.ts'
import type { TransportMemory } from './transport-memory.ts'
import { type ProbedTransport, type Sample, TransportProbe } from './transport-probe.ts'

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
  #probe: TransportProbe | undefined
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

  /** Whether there is another transport to try. */
  get hasAlternatives(): boolean {
    return this.#choice.order.length > 1
  }

  /**
   * Takes the server's order of preference from its `welcome`.
   * @returns whether the connection must open another transport before it uses this one
   */
  prefer(names: readonly string[] | undefined): boolean {
    const { current } = this.#choice
    this.#apply({ type: 'preferred', order: preferring(names) })
    return this.#choice.current !== current
  }

  opened(): void {
    this.#apply({ type: 'opened' })
    this.#cancelStableTimer = this.#ports.clock.after(STABLE_MS, () => {
      this.#apply({ type: 'stable' })
      this.#remember()
    })
    this.#scheduleProbe()
  }

  /** @returns whether the connection falls back to another transport, which needs no long wait */
  lost(loss: Loss, openMs: number): boolean {
    this.close()
    const { current } = this.#choice
    this.#apply({ type: 'lost', kind: loss.kind, openMs })
    const { current: next, order } = this.#choice
    // A move upwards means that plain HTTP did not work either: the server is unreachable.
    return order.indexOf(next) > order.indexOf(current)
  }

  close(): void {
    this.#cancelStableTimer?.()
    this.#cancelProbeTimer?.()
    this.#probe?.cancel()
    this.#probe = undefined
  }

  #remember(): void {
    const { current, order } = this.#choice
    const key = keyOf(this.#choice)
    if (key === this.#remembered) return
    this.#remembered = key
    this.#ports.memory.keep({ kind: current, order })
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
      this.#scheduleProbe()
      return
    }
    const done = (probed: ProbedTransport | undefined): void => {
      this.#probe = undefined
      this.#ports.logger?.debug({ door: better, holds: probed !== undefined }, 'probed a better transport')
      if (probed === undefined) {
        this.#probeNext(others)
        return
      }
      this.#cancelStableTimer?.()
      this.#apply({ type: 'probed', better })
      this.#ports.moveTo(probed)
    }
    this.#probe = new TransportProbe({ ...this.#ports, done }, better, this.#ports.sample())
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
