// RunReturns: returns the runs of a lost node to the queue, with `-NAK` on the acknowledgement subjects of its deliveries.
// JetStream may have no leader at the moment, because a NATS server failed together with the node. So this tries again for
// some seconds, and stops if the node turns out to live.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Row } from './roster.ts'

export interface RunReturnsOptions {
  /** Publishes `-NAK`. Rejects if JetStream does not confirm it. */
  nak(reply: string): Promise<unknown>
  /** Another node has the run. Returning this delivery would take the run from that node. */
  isElsewhere(message: number, row: Row): boolean
  /** Asks the node again before each further try. */
  isLost(): Promise<boolean>
  /** Milliseconds; default 10,000. */
  readonly timeoutMs?: number
  /** Milliseconds between two tries; default 300. */
  readonly pauseMs?: number
}

/** Concurrent requests. */
const SLICE = 500
/** Longer than NATS usually needs to elect a leader. */
const TIMEOUT_MS = 10_000
const PAUSE_MS = 300

/** @returns the number of runs that wait for `ack_wait`, because JetStream did not confirm their return */
export async function returnRuns(rows: ReadonlyMap<number, Row>, options: RunReturnsOptions): Promise<number> {
  const { nak, isElsewhere, isLost, timeoutMs = TIMEOUT_MS, pauseMs = PAUSE_MS } = options
  const until = performance.now() + timeoutMs
  let waiting = [...rows]
  for (;;) {
    const failed: [number, Row][] = []
    while (waiting.length > 0) {
      const slice = waiting.splice(0, SLICE).filter(([message, row]) => !isElsewhere(message, row))
      const results = await Promise.allSettled(slice.map(([, { reply }]) => nak(reply)))
      failed.push(...slice.filter((_, index) => results[index]?.status === 'rejected'))
      // Nobody confirms at the moment.
      if (failed.length >= SLICE) failed.push(...waiting.splice(0))
    }
    if (failed.length === 0 || performance.now() > until) return failed.length
    await sleep(pauseMs, undefined, { ref: false })
    if (!(await isLost())) return 0
    waiting = failed
  }
}
