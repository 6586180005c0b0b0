// RelayedCalls: the requests of one driver whose responses a relay keeps. Each has a key of its own, which is in the log before the
// request is sent: so a driver that was replaced cannot send it, and the next driver finds its response.
import { makeId, type RelayedRequest } from '@parley/protocol'
import type { Model } from '../../model/model.ts'
import { type Relay, relayHeaders } from '../../model/relay-fetch.ts'
import type { RunAppender } from '../run-appender.ts'
import * as Run from '../run-state.ts'

export type RelayPort = Pick<Relay, 'find' | 'release' | 'leave' | 'abandon'>

export class RelayedCalls {
  readonly #relay: RelayPort
  readonly #appender: RunAppender
  readonly #attempt: number
  /** The request in this driver's `run.started`, until it is sent. */
  #first: RelayedRequest | undefined
  readonly #mode: 'start' | 'resume'
  /** Keys of the responses that the run may still need. */
  readonly #held = new Set<string>()

  /** @param first in this driver's `run.started` @param isFound whether the relay has its response */
  constructor(relay: RelayPort, appender: RunAppender, first: RelayedRequest | undefined, isFound: boolean) {
    this.#relay = relay
    this.#appender = appender
    this.#attempt = appender.state.about.epoch
    this.#first = first
    this.#mode = isFound ? 'resume' : 'start'
    if (isFound && first !== undefined) this.#held.add(first.stream)
  }

  /** Whether the relay has the response to the first request. */
  get isFound(): boolean {
    return this.#mode === 'resume'
  }

  /**
   * Names the next request in the log.
   * @returns the headers of the request; none if no relay keeps its response
   */
  async next(model: Model): Promise<Record<string, string>> {
    if (model.relayed !== true) return {}
    const first = this.#first
    this.#first = undefined
    const { state } = this.#appender
    if (first?.model === model.id && first.step === state.step) return this.#headers(first.stream, this.#mode)
    const key = streamKey()
    this.#appender.apply((before) => Run.requested(before, key, model.id))
    await this.#appender.reached(({ about }) => about.request?.stream === key)
    void this.release()
    return this.#headers(key, 'start')
  }

  #headers(key: string, mode: 'start' | 'resume'): Record<string, string> {
    this.#held.add(key)
    return relayHeaders({ key, mode, attempt: this.#attempt })
  }

  /** The log has everything of the previous responses, or they are of no use. Resolves when the relay knows. */
  async release(): Promise<void> {
    const keys = [...this.#held]
    this.#held.clear()
    const attempt = this.#attempt
    await Promise.all(keys.map((key) => this.#relay.release({ key, attempt, mode: this.#mode })))
  }

  /** The driver stops. @param isEnded whether the run has ended: otherwise the next driver may need the current response */
  letGo(isEnded: boolean): void {
    if (isEnded) void this.release()
    for (const key of this.#held) this.#relay.leave(key)
    this.#held.clear()
  }
}

export function streamKey(): string {
  return makeId('stream')
}
