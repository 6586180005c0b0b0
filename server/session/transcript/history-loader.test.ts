// Loading the older part of a conversation from closed segments of a transcript in a real store.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, formatCursor } from '@parley/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import { SessionReplica } from '../session-replica.ts'
import { applyEntries, type LoggedEvent } from '../state/apply-entry.ts'
import { pathTo } from '../state/message-tree.ts'
import { EMPTY_SESSION, type SessionState } from '../state/session-state.ts'
import { isCut, isInHistory, withHistory } from './history-loader.ts'

let path: string
let stores: LmdbStores

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-history-'))
  stores = await openLmdbStores({ path })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

const usage = { inputTokens: 0, outputTokens: 0 }

/** A message and its answer for each parent: an index, null for none, or undefined for the previous message. */
function entriesOf(parents: readonly (number | null | undefined)[]): LoggedEvent[] {
  return parents.flatMap((parent, at) => {
    const explicit = parent === undefined ? {} : { parent: parent === null || at === 0 ? null : `m${parent % at}` }
    const run = `r${at}`
    const base = { id: `m${at}`, role: 'user' as const, author: 'a', policy: 'queue' as const, run }
    const text = [{ type: 'text' as const, text: `answer ${at}`, index: 0, lengths: [8] }]
    const events: Event[] = [
      { type: 'message', ...base, content: [], ...explicit },
      { type: 'run.ended', run, reason: 'completed', usage, next: 1, output: text },
    ]
    return events.map((event, part) => ({ seq: 2 * at + part + 1, time: at, event }))
  })
}

/**
 * Saves all entries in closed segments of `perSegment` exchanges.
 * @returns the state of a node that loads only the newest `loaded` segments
 */
async function saveSegments(
  session: string,
  entries: readonly LoggedEvent[],
  perSegment: number,
  loaded: number,
): Promise<SessionState> {
  const segments = Array.from({ length: Math.ceil(entries.length / perSegment / 2) }, (_, at) =>
    entries.slice(at * perSegment * 2, (at + 1) * perSegment * 2),
  )
  const closing = segments.map((segment) =>
    segment.map(({ seq, time, event }) => ({ seq, time, json: JSON.stringify(event) })),
  )
  const cursor = formatCursor(stores.log.epoch, entries.at(-1)?.seq ?? 0)
  await stores.transcripts.save(session, { cursor, sealed: closing.length, entries: [], commands: [] }, 0, closing)
  return applyEntries(EMPTY_SESSION, segments.slice(-loaded).flat())
}

const answers = (state: SessionState, message: string): string[] =>
  pathTo(state.messages, message).map(
    ({ event }) => `${event.id}: ${JSON.stringify(state.ended.get(event.run)?.output?.part)}`,
  )

it('completes the conversation as if the whole session were in memory', async () => {
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
      fc.integer({ min: 1, max: 4_000 }),
      async (parentIndexes, per, loaded, bytes) => {
        session += 1
        const entries = entriesOf(parentIndexes)
        const whole = applyEntries(EMPTY_SESSION, entries)
        const state = await saveSegments(`s${session}`, entries, per, loaded)
        for (const { event } of state.messages) {
          const loadedState = await withHistory(stores, `s${session}`, state, event.id, Number.POSITIVE_INFINITY)
          const all = answers(whole, event.id)
          expect(answers(loadedState, event.id)).toEqual(all)
          expect(await isCut(stores, `s${session}`, loadedState, event.id)).toBe(false)
          const part = await withHistory(stores, `s${session}`, state, event.id, bytes)
          const isPart = pathTo(part.messages, event.id).length < all.length
          expect(await isCut(stores, `s${session}`, part, event.id)).toBe(isPart)
        }
      },
    ),
    { numRuns: 40 },
  )
})

it('stops at the size limit and loads no other branches', async () => {
  const entries = entriesOf([undefined, undefined, undefined, undefined, 1, undefined])
  const state = await saveSegments('s', entries, 1, 1)
  const some = await withHistory(stores, 's', state, 'm5', 400)
  expect(pathTo(some.messages, 'm5').length).toBeLessThan(4)
  const all = await withHistory(stores, 's', state, 'm5', 1_000_000)
  expect(all.messages.map(({ event }) => event.id)).toEqual(['m0', 'm1', 'm4', 'm5'])
  expect([...all.ended.keys()].sort()).toEqual(['r0', 'r1', 'r4', 'r5'])
})

it('finds messages in closed segments', async () => {
  const state = await saveSegments('s', entriesOf([undefined, undefined, undefined]), 1, 1)
  const oldest = state.messages[0]?.seq ?? 0
  expect(await isInHistory(stores, 's', oldest, 'm0')).toBe(true)
  expect(await isInHistory(stores, 's', oldest, 'm9')).toBe(false)
  expect(await isInHistory(stores, 'other', oldest, 'm0')).toBe(false)
})

it('loads the history when a user edits an old message of a partly loaded session', async () => {
  const content = [{ type: 'text' as const, text: 'x'.repeat(20_000) }]
  const entries = entriesOf(Array.from({ length: 120 }, () => undefined)).map(({ seq, time, event }) => ({
    seq,
    time,
    event: event.type === 'message' ? { ...event, content } : event,
  }))
  await saveSegments('s', entries, 10, 1)
  await Promise.all(entries.map(({ seq, event }) => stores.log.append('s', `entry.${seq}`, event, 0)))
  const session = await SessionReplica.open(stores, 's')
  expect(session.state.messages.length).toBeLessThan(80)
  expect([await session.hasMessage('m3'), await session.hasMessage('m119'), await session.hasMessage('m120')]).toEqual([
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
  const { messages } = await session.stateWithHistory('e')
  expect(pathTo(messages, 'e').map(({ event }) => event.id)).toEqual(['m0', 'm1', 'm2', 'm3', 'e'])
  // A message at the end needs no history beyond the part in memory.
  expect(await session.stateWithHistory('m119')).toBe(session.state)
  session.close()
})
