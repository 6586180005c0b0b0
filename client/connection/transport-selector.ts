// TransportSelector: the shell around transport-choice.ts: it remembers what works, and tries better doors on the side.
import { isHidden } from '#platform'
import type { Clock, Logger } from '../client-options.ts'
import type { Door, DoorPolicy } from '../transport/door.ts'
import { SOON_MS } from '../transport/door.ts'
import type { Loss, Transport, TransportHandler } from '../transport/transport.ts'
import {
  better,
  type ChoiceEvent,
  newChoice,
  nextChoice,
  preferring,
  probeDelay,
  type TransportChoice,
  type TransportState,
  transportOf,
} from './transport-choice.ts'
import type { TransportMemory } from './transport-memory.ts'
import { type Found, type Sample, TransportProbe } from './transport-probe.ts'

export interface DoorsPorts {
  readonly clock: Clock
  readonly logger: Logger | undefined
  readonly policy: DoorPolicy
  readonly memory: TransportMemory
  open(door: Door, handler: TransportHandler): Transport
  /** A session that is attached. */
  sample(): Sample | undefined
  /** A better door holds: its link is the connection's from now on. */
  adopt(found: Found): void
}

export class TransportSelector {
  readonly #ports: DoorsPorts
  #choice: TransportChoice
  #state: TransportState
  #cancelHeld: (() => void) | undefined
  #cancelWait: (() => void) | undefined
  #probe: TransportProbe | undefined
  /** As it is remembered: by the door and the order. */
  #kept: string | undefined

  constructor(doors: readonly [Door, ...Door[]], ports: DoorsPorts) {
    this.#ports = ports
    const known = ports.memory.recall()
    const isOpen = doors.length > 1
    this.#choice = newChoice(isOpen ? (known?.order ?? doors) : doors, known?.door)
    if (known !== undefined) this.#kept = keyOf(this.#choice)
    this.#state = transportOf(this.#choice)
  }

  /** The same object as long as nothing has changed. */
  get state(): TransportState {
    return this.#state
  }

  /** Whether there is another one to try. */
  get several(): boolean {
    return this.#choice.doors.length > 1
  }

  /**
   * What the server prefers, as it told when it let us in.
   * @returns whether another door is to be gone through, now, before anything is done through this one
   */
  prefer(names: readonly string[] | undefined): boolean {
    const { door } = this.#choice
    this.#step({ type: 'preferred', order: preferring(names) })
    return this.#choice.door !== door
  }

  opened(): void {
    this.#step({ type: 'opened' })
    this.#cancelHeld = this.#ports.clock.after(SOON_MS, () => {
      this.#step({ type: 'held' })
      this.#keep()
    })
    this.#wait()
  }

  /** @returns whether another door is to be tried in place of this one, without a long wait */
  lost(loss: Loss, heldMs: number): boolean {
    this.#stop()
    const { door } = this.#choice
    this.#step({ type: 'lost', kind: loss.kind, heldMs })
    const { door: next, doors } = this.#choice
    // Upwards: plain HTTP did not get through, so that the server is away.
    return doors.indexOf(next) > doors.indexOf(door)
  }

  close(): void {
    this.#stop()
  }

  #keep(): void {
    const { door, doors } = this.#choice
    const key = keyOf(this.#choice)
    if (key === this.#kept) return
    this.#kept = key
    this.#ports.memory.keep({ door, order: doors })
  }

  #stop(): void {
    this.#cancelHeld?.()
    this.#cancelWait?.()
    this.#probe?.cancel()
    this.#probe = undefined
  }

  /** Looks up again after a while, if there is anything above. */
  #wait(): void {
    const { clock, policy } = this.#ports
    const delay = probeDelay(this.#choice, policy, clock.random())
    this.#cancelWait?.()
    if (delay === undefined) return
    this.#cancelWait = clock.after(delay, () => {
      // Who is not looked at holds no stream, and cannot tell whether streams come through.
      if (isHidden()) this.#wait()
      else this.#try(better(this.#choice))
    })
  }

  /** One after the other, best first. */
  #try(doors: readonly Door[]): void {
    const [door, ...others] = doors
    if (door === undefined) {
      this.#step({ type: 'probed' })
      this.#wait()
      return
    }
    const done = (found: Found | undefined): void => {
      this.#probe = undefined
      this.#ports.logger?.debug({ door, holds: found !== undefined }, 'tried a better door')
      if (found === undefined) {
        this.#try(others)
        return
      }
      this.#cancelHeld?.()
      this.#step({ type: 'probed', door })
      this.#ports.adopt(found)
    }
    this.#probe = new TransportProbe({ ...this.#ports, done }, door, this.#ports.sample())
  }

  #step(event: ChoiceEvent): void {
    this.#choice = nextChoice(this.#choice, event)
    const { door, why, moves } = transportOf(this.#choice)
    const { state } = this
    if (door !== state.door || why !== state.why || moves !== state.moves) this.#state = transportOf(this.#choice)
  }
}

function keyOf({ door, doors }: TransportChoice): string {
  return `${door} of ${doors.join(',')}`
}
