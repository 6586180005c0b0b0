// Lanes of appends: sessions whose runs put out stamped tokens at a pace, one append in flight each, and the bare way to
// store them on JetStream: a publish with a compare, and an ack. The load of the JetStream benchmarks.
import { createInbox, headers, type NatsConnection } from '@nats-io/transport-node'
import { nowMicros, stampedToken } from './harness/bench-clock.ts'

/** Stores the lane's next token, and moves the lane on. */
export type Append = (lane: Lane) => Promise<void>

export interface Lane {
  readonly session: string
  run: number
  index: number
  last: number
}

export const TOKENS_A_RUN = 200

/** Sessions `s0`, `s1`, …, each at another point of a run. */
export function makeLanes(count: number): Lane[] {
  return Array.from({ length: count }, (_, i) => {
    return { session: `s${i}`, run: 0, index: Math.floor((i * TOKENS_A_RUN) / count), last: 0 }
  })
}

export function tokenOf(lane: Lane) {
  const run = `run_${lane.session}_${lane.run}`
  return { type: 'run.output', run, index: lane.index, kind: 'text', text: stampedToken() } as const
}

/** The next token, which is a roll-up at the end of a run: the stream stays as small as in earnest. */
export function advance(lane: Lane, seq: number): void {
  const ends = lane.index === TOKENS_A_RUN
  lane.last = ends ? 0 : seq
  lane.index = ends ? 0 : lane.index + 1
  if (ends) lane.run += 1
}

/** Into the stream of a prefix, with its answers from an inbox of its own. */
export function bareAppend(nats: NatsConnection, prefix: string): Append {
  const inbox = createInbox()
  const waiting = new Map<number, (seq: number) => void>()
  let token = 0
  nats.subscribe(`${inbox}.*`, {
    callback: (_, message) => {
      const id = Number(message.subject.slice(inbox.length + 1))
      waiting.get(id)?.(Number(/"seq":(\d+)/.exec(message.string())?.[1]))
      waiting.delete(id)
    },
  })
  return async (lane) => {
    const said = tokenOf(lane)
    const all = headers()
    all.set('Nats-Expected-Last-Subject-Sequence', String(lane.last))
    if (lane.index === TOKENS_A_RUN) all.set('Nats-Rollup', 'sub')
    const id = token++
    const seq = await new Promise<number>((resolve) => {
      waiting.set(id, resolve)
      const subject = `${prefix}.log.${lane.session}.run.${said.run}`
      nats.publish(subject, JSON.stringify(said), { reply: `${inbox}.${id}`, headers: all })
    })
    advance(lane, seq)
  }
}

/** Appends of all sessions evenly over time, in ticks of a millisecond; a session whose append is under way skips. */
export async function pace(
  lanes: readonly Lane[],
  append: Append,
  perSecond: number,
  seconds: number,
  took: (micros: number) => void,
): Promise<void> {
  const busy = new Set<Lane>()
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond)
    for (; sent < due; sent++) {
      const lane = lanes[sent % lanes.length] as Lane
      if (busy.has(lane)) continue
      busy.add(lane)
      const before = nowMicros()
      void append(lane).finally(() => {
        busy.delete(lane)
        took(nowMicros() - before)
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  while (busy.size > 0) await new Promise((resolve) => setTimeout(resolve, 1))
}
