// The load of the log benchmarks: sessions whose runs append tokens at a given rate, each with one append in flight.
// And the minimum that JetStream needs for such an append: a publish with a compare, and an acknowledgement.
import { setTimeout as sleep } from 'node:timers/promises'
import { createInbox, headers, type NatsConnection } from '@nats-io/transport-node'
import { nowMicros, stampedToken } from './harness/bench-clock.ts'

/** Appends the next token of a session, and advances its position. */
export type AppendToken = (session: BenchSession) => Promise<void>

/** One session, and the position in its current run. */
export interface BenchSession {
  readonly id: string
  run: number
  index: number
  last: number
}

export const TOKENS_A_RUN = 200

/** Sessions `s0`, `s1`, …, each at a different position of its run. */
export function makeSessions(count: number): BenchSession[] {
  return Array.from({ length: count }, (_, i) => {
    return { id: `s${i}`, run: 0, index: Math.floor((i * TOKENS_A_RUN) / count), last: 0 }
  })
}

export function tokenOf(session: BenchSession) {
  const run = `run_${session.id}_${session.run}`
  return { type: 'run.output', run, index: session.index, kind: 'text', text: stampedToken() } as const
}

/** Moves to the next token. The last entry of a run compacts it, so the stream stays as small as in production. */
export function advance(session: BenchSession, seq: number): void {
  const ends = session.index === TOKENS_A_RUN
  session.last = ends ? 0 : seq
  session.index = ends ? 0 : session.index + 1
  if (ends) session.run += 1
}

/** Publishes to the stream with this prefix, and receives acknowledgements on its own inbox. */
export function bareAppend(nats: NatsConnection, prefix: string): AppendToken {
  const inbox = createInbox()
  const waiting = new Map<number, (seq: number) => void>()
  let lastId = 0
  nats.subscribe(`${inbox}.*`, {
    callback: (_, message) => {
      const id = Number(message.subject.slice(inbox.length + 1))
      waiting.get(id)?.(Number(/"seq":(\d+)/.exec(message.string())?.[1]))
      waiting.delete(id)
    },
  })
  return async (session) => {
    const token = tokenOf(session)
    const all = headers()
    all.set('Nats-Expected-Last-Subject-Sequence', String(session.last))
    if (session.index === TOKENS_A_RUN) all.set('Nats-Rollup', 'sub')
    const id = lastId++
    const seq = await new Promise<number>((resolve) => {
      waiting.set(id, resolve)
      const subject = `${prefix}.log.${session.id}.run.${token.run}`
      nats.publish(subject, JSON.stringify(token), { reply: `${inbox}.${id}`, headers: all })
    })
    advance(session, seq)
  }
}

/** Spreads the appends of all sessions evenly, in steps of 1 ms. A session with an append in flight skips its turn. */
export async function appendAtRate(
  sessions: readonly BenchSession[],
  append: AppendToken,
  perSecond: number,
  seconds: number,
  took: (micros: number) => void,
): Promise<void> {
  const busy = new Set<BenchSession>()
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond)
    for (; sent < due; sent++) {
      const session = sessions[sent % sessions.length] as BenchSession
      if (busy.has(session)) continue
      busy.add(session)
      const before = nowMicros()
      void append(session).finally(() => {
        busy.delete(session)
        took(nowMicros() - before)
      })
    }
    await sleep(1)
  }
  while (busy.size > 0) await sleep(1)
}
