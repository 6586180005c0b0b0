// What a conversation needs of a long session's past, read from sealed segments of a transcript in a real store.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, formatCursor } from '@parley/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import { SessionReplica } from '../session-replica.ts'
import { type Folded, foldAll } from '../state/apply-entry.ts'
import { pathTo } from '../state/message-tree.ts'
import { EMPTY_SESSION, type SessionState } from '../state/session-state.ts'
import { isInPast, withPast } from './history-loader.ts'

let path: string
let stores: LmdbStores

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-past-'))
  stores = await openLmdbStores({ path })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

const usage = { inputTokens: 0, outputTokens: 0 }

/** A message and its answer for each parent: a place from the beginning, none, or none told. */
function entriesOf(parents: readonly (number | null | undefined)[]): Folded[] {
  return parents.flatMap((parent, at) => {
    const stands = parent === undefined ? {} : { parent: parent === null || at === 0 ? null : `m${parent % at}` }
    const run = `r${at}`
    const base = { id: `m${at}`, role: 'user' as const, author: 'a', policy: 'queue' as const, run }
    const text = [{ type: 'text' as const, text: `answer ${at}`, index: 0, lengths: [8] }]
    const events: Event[] = [
      { type: 'message', ...base, content: [], ...stands },
      { type: 'run.ended', run, reason: 'completed', usage, next: 1, output: text },
    ]
    return events.map((event, part) => ({ seq: 2 * at + part + 1, time: at, event }))
  })
}

/** All of it in sealed segments of so many exchanges each. @returns what a node that loads only the newest has folded */
async function sealed(
  session: string,
  entries: readonly Folded[],
  perSegment: number,
  loaded: number,
): Promise<SessionState> {
  const segments = Array.from({ length: Math.ceil(entries.length / perSegment / 2) }, (_, at) =>
    entries.slice(at * perSegment * 2, (at + 1) * perSegment * 2),
  )
  const sealing = segments.map((segment) =>
    segment.map(({ seq, time, event }) => ({ seq, time, json: JSON.stringify(event) })),
  )
  const cursor = formatCursor(stores.log.epoch, entries.at(-1)?.seq ?? 0)
  await stores.transcripts.save(session, { cursor, sealed: sealing.length, entries: [], commands: [] }, 0, sealing)
  return foldAll(EMPTY_SESSION, segments.slice(-loaded).flat())
}

const answers = (state: SessionState, message: string): string[] =>
  pathTo(state.messages, message).map(
    ({ event }) => `${event.id}: ${JSON.stringify(state.ended.get(event.run)?.output?.part)}`,
  )

it('has all of the conversation, as a node has that holds the whole session', async () => {
  const parents = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, fc.constant(null), fc.nat(40)), {
    minLength: 1,
    maxLength: 30,
  })
  let session = 0
  await fc.assert(
    fc.asyncProperty(
      parents,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      async (told, per, loaded) => {
        session += 1
        const entries = entriesOf(told)
        const whole = foldAll(EMPTY_SESSION, entries)
        const state = await sealed(`s${session}`, entries, per, loaded)
        for (const { event } of state.messages) {
          const past = await withPast(stores, `s${session}`, state, event.id, Number.POSITIVE_INFINITY)
          expect(answers(past, event.id)).toEqual(answers(whole, event.id))
        }
      },
    ),
    { numRuns: 40 },
  )
})

it('stops when enough was said, and takes nothing of other branches', async () => {
  const entries = entriesOf([undefined, undefined, undefined, undefined, 1, undefined])
  const state = await sealed('s', entries, 1, 1)
  const some = await withPast(stores, 's', state, 'm5', 400)
  expect(pathTo(some.messages, 'm5').length).toBeLessThan(4)
  const all = await withPast(stores, 's', state, 'm5', 1_000_000)
  expect(all.messages.map(({ event }) => event.id)).toEqual(['m0', 'm1', 'm4', 'm5'])
  expect([...all.ended.keys()].sort()).toEqual(['r0', 'r1', 'r4', 'r5'])
})

it('knows which messages were there', async () => {
  const state = await sealed('s', entriesOf([undefined, undefined, undefined]), 1, 1)
  const oldest = state.messages[0]?.seq ?? 0
  expect(await isInPast(stores, 's', oldest, 'm0')).toBe(true)
  expect(await isInPast(stores, 's', oldest, 'm9')).toBe(false)
  expect(await isInPast(stores, 'other', oldest, 'm0')).toBe(false)
})

it('is read by a session that was opened at its end, when somebody edits what was said long ago', async () => {
  const words = [{ type: 'text' as const, text: 'x'.repeat(20_000) }]
  const entries = entriesOf(Array.from({ length: 120 }, () => undefined)).map(({ seq, time, event }) => ({
    seq,
    time,
    event: event.type === 'message' ? { ...event, content: words } : event,
  }))
  await sealed('s', entries, 10, 1)
  // In one commit, or a few.
  await Promise.all(entries.map(({ seq, event }) => stores.log.append('s', `entry.${seq}`, event, 0)))
  const session = await SessionReplica.open(stores, 's')
  expect(session.state.messages.length).toBeLessThan(80)
  expect([await session.holds('m3'), await session.holds('m119'), await session.holds('m120')]).toEqual([
    true,
    true,
    false,
  ])
  const edit: Event = {
    type: 'message',
    id: 'e',
    role: 'user',
    author: 'a',
    content: [],
    policy: 'queue',
    run: 'r',
    parent: 'm3',
  }
  const { seq } = await stores.log.append('s', 'in.e', edit, 0)
  await session.reached(seq, AbortSignal.timeout(5_000))
  const { messages } = await session.stateFor('e')
  expect(pathTo(messages, 'e').map(({ event }) => event.id)).toEqual(['m0', 'm1', 'm2', 'm3', 'e'])
  // What goes on at the end needs nothing more: what is in memory is enough.
  expect(await session.stateFor('m119')).toBe(session.state)
  session.close()
})
