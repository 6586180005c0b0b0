// ResponseLanes: the streams (`stream_id`) of one socket. Each makes one response at a time, in the order of their requests, and keeps
// its last response if that is not stored, so that the next one can continue from it.
import { ReplyError } from '@parley/protocol'
import type { JobName } from '../../jobs/job-id.ts'
import { responseId } from '../response-object.ts'
import type { FrameExchange } from './frame-exchange.ts'

/** Deletes a response that is not stored, unless its session `keeps` another one. */
export type Done = (keeps?: 'keeps') => void

/** The response that is being made. */
export interface Current {
  readonly name: JobName
  readonly exchange: FrameExchange
  readonly isStored: boolean
  /** Another response in its session follows. */
  isSteered: boolean
}

export interface Lane {
  readonly id: string | undefined
  readonly waiting: (() => Promise<void>)[]
  isBusy: boolean
  current?: Current | undefined
  /** The last response, if it is not stored. */
  kept?: { readonly name: JobName; readonly done: Done } | undefined
}

const MAX_LANES = 16

export class ResponseLanes {
  /** Ids of the kept responses. */
  readonly unstored = new Set<string>()
  readonly #lanes = new Map<string | undefined, Lane>()

  get isIdle(): boolean {
    return [...this.#lanes.values()].every(({ isBusy }) => !isBusy)
  }

  /** @throws ReplyError queue_full */
  at(id: string | undefined): Lane {
    const known = this.#lanes.get(id)
    if (known !== undefined) return known
    if (this.#lanes.size >= MAX_LANES) {
      const idle = [...this.#lanes.values()].find(({ isBusy }) => !isBusy)
      if (idle === undefined) throw new ReplyError('queue_full', `At most ${MAX_LANES} streams at the same time.`)
      this.#forget(idle)
      this.#lanes.delete(idle.id)
    }
    const lane: Lane = { id, waiting: [], isBusy: false }
    this.#lanes.set(id, lane)
    return lane
  }

  /** Makes the queued responses of the lane, one after the other, until the socket is closed. */
  async work(lane: Lane, isClosed: () => boolean): Promise<void> {
    if (lane.isBusy) return
    lane.isBusy = true
    for (let next = lane.waiting.shift(); next !== undefined && !isClosed(); next = lane.waiting.shift()) await next()
    lane.isBusy = false
    if (lane.kept === undefined) this.#lanes.delete(lane.id)
  }

  /** The lane in which a response is being made. */
  active(id: string): { readonly lane: Lane; readonly current: Current } | undefined {
    for (const lane of this.#lanes.values()) {
      const { current } = lane
      if (current !== undefined && responseId(current.name) === id) return { lane, current }
    }
    return undefined
  }

  /** Keeps a response that is not stored, instead of the one before. */
  keep(lane: Lane, name: JobName, done: Done): void {
    this.#forget(lane, name.session)
    lane.kept = { name, done }
    this.unstored.add(responseId(name))
  }

  close(): void {
    for (const lane of this.#lanes.values()) this.#forget(lane)
  }

  /** @param session still needed */
  #forget(lane: Lane, session?: string): void {
    const { kept } = lane
    if (kept === undefined) return
    lane.kept = undefined
    this.unstored.delete(responseId(kept.name))
    kept.done(kept.name.session === session ? 'keeps' : undefined)
  }
}
