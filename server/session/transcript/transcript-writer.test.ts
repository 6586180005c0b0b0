// Folding a session over the real stores: what a reader is sent, and what is folded into memory, is the same
// before and after, in one segment or many, with the log's tail still there or trimmed away.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import { compareAndAppend } from '../commands/compare-and-append.ts'
import { offerAgain } from '../commands/tool-service.ts'
import { SessionReplica } from '../session-replica.ts'
import { fold } from '../state/apply-entry.ts'
import { EMPTY_SESSION, findCall } from '../state/session-state.ts'
import { essence, ScriptedLog, type Step } from '../test/scripted-log.ts'
import { replay, type Shown } from './replay.ts'
import { TranscriptWriter } from './transcript-writer.ts'

const DAY_MS = 86_400_000
const logger = pino({ level: 'silent' })

let path: string
let stores: LmdbStores
let now = Date.now()
let asked: string[] = []

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-fold-'))
  asked = []
  stores = await openLmdbStores({
    path,
    logger,
    retention: { maxAgeMs: DAY_MS },
    now: () => now,
    uncovered: (sessions) => asked.push(...sessions),
  })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

function writer(segmentBytes = 4_096): TranscriptWriter {
  return new TranscriptWriter(stores, { minTailBytes: 1_024, fraction: 0.25, segmentBytes, logger })
}

/** Plays a script into the real log. */
async function play(script: ScriptedLog, session: string): Promise<void> {
  const last = new Map<string, number>()
  for (const entry of script.entries) {
    const { subject, rollup } = entry
    const { seq } = await stores.log.append(session, subject, entry.event, last.get(subject) ?? 0, { rollup })
    last.set(subject, seq)
  }
}

function conversation(exchanges: number): ScriptedLog {
  const script = new ScriptedLog()
  const kinds: Step['kind'][] = ['title', 'message', 'output', 'call', 'result', 'output', 'output']
  for (let exchange = 0; exchange < exchanges; exchange += 1) {
    for (const kind of kinds) script.apply({ kind, pick: exchange + 1 })
    script.apply({ kind: exchange % 4 === 3 ? 'cancel' : 'complete', pick: 1 })
    if (exchange % 8 === 3) script.apply({ kind: 'compact', pick: 0 })
  }
  return script
}

async function shownToAll(session: string, after?: string): Promise<{ reset: boolean; shown: Shown[] }> {
  const { reset, batches } = await replay(stores, session, after)
  const shown: Shown[] = []
  for await (const batch of batches) shown.push(...batch.shown)
  return { reset, shown }
}

function essenceOf(shown: readonly Shown[]): unknown {
  return essence(
    shown.reduce(
      (state, { seq, time, json }) => fold(state, { seq, time, event: JSON.parse(json) as Event }),
      EMPTY_SESSION,
    ),
  )
}

describe('a folded session', () => {
  it('is replayed the same, in order, from many segments and the tail', async () => {
    const script = conversation(60)
    await play(script, 's')
    const session = await SessionReplica.open(stores, 's')
    await writer().fold(session)
    const transcript = await stores.transcripts.load('s')
    expect(transcript?.sealed).toBeGreaterThan(1)
    await stores.log.append(
      's',
      'in.late',
      { type: 'message', id: 'late', role: 'user', author: 'u', content: [], policy: 'queue', run: 'run_late' },
      0,
    )
    script.apply({ kind: 'title', pick: 1 })
    const { shown } = await shownToAll('s')
    const seqs = shown.map((entry) => entry.seq)
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
    expect(essenceOf(shown.slice(0, -1))).toEqual({ ...(essence(script.state) as object), title: session.state.title })
    session.close()
  })

  it('is the same in memory when it is opened anew, with its settings', async () => {
    const script = conversation(10)
    await play(script, 's')
    const before = await SessionReplica.open(stores, 's')
    await writer(1_000_000).fold(before)
    const after = await SessionReplica.open(stores, 's')
    expect(essence(after.state)).toEqual(essence(before.state))
    expect(after.state.title).toBe(before.state.title)
    expect(after.state.commands).toEqual(before.state.commands)
    before.close()
    after.close()
  })

  it('is folded again only when its tail has grown by a fraction', async () => {
    await play(conversation(20), 's')
    const session = await SessionReplica.open(stores, 's')
    await writer(1_000_000).fold(session)
    await stores.log.append(
      's',
      'meta',
      { type: 'session.updated', title: 'small' },
      await stores.log.last('s', 'meta'),
    )
    await writer(1_000_000).fold(session)
    expect((await stores.transcripts.load('s'))?.revision).toBe(1)
    await writer(1_000_000).fold(session, true)
    expect((await stores.transcripts.load('s'))?.revision).toBe(2)
    session.close()
  })

  it('answers an old cursor with a reset and the whole, once the log is trimmed', async () => {
    const script = conversation(30)
    await play(script, 's')
    const session = await SessionReplica.open(stores, 's')
    const old = `${stores.log.epoch}.3`
    await writer().fold(session)
    expect(await shownToAll('s', old)).toMatchObject({ reset: false })
    now += 2 * DAY_MS
    await stores.log.sweep()
    const { reset, shown } = await shownToAll('s', old)
    expect(reset).toBe(true)
    expect(essenceOf(shown)).toEqual(essence(script.state))
    session.close()
  })

  // An entry's event is a getter, which a spread left behind: such a session could never be folded again, and the
  // handlers of its runs failed for ever. And the call's place was remembered as its number.
  it('has calls that were offered again, and they can be offered and answered', async () => {
    const script = new ScriptedLog()
    for (const kind of ['message', 'output', 'call'] as const) script.apply({ kind, pick: 1 })
    await play(script, 's')
    const before = await SessionReplica.open(stores, 's')
    const [call] = before.state.open[0]?.calls.values() ?? []
    const id = call?.id ?? ''
    await offerAgain(stores.log, before, id, () => true)
    await writer().fold(before, true)
    const after = await SessionReplica.open(stores, 's')
    expect(findCall(after.state, id)?.call).toMatchObject({ attempt: 2, claim: undefined, result: undefined })
    await offerAgain(stores.log, after, id, () => true)
    expect(findCall(after.state, id)?.call.attempt).toBe(3)
    before.close()
    after.close()
  })

  // What is sealed is not all read: the number of the settings' last entry is then unknown.
  it('takes new settings when the last ones lie far back', async () => {
    const script = new ScriptedLog()
    script.apply({ kind: 'title', pick: 1 })
    await play(script, 's')
    const { log } = stores
    for (let count = 0; count < 3; count += 1) {
      const content = [{ type: 'text' as const, text: 'x'.repeat(600_000) }]
      const about = { type: 'message', role: 'user', author: 'u', policy: 'queue' } as const
      await log.append('s', `in.c${count}`, { ...about, id: `c${count}`, content, run: `run_c${count}` }, 0)
      const usage = { inputTokens: 0, outputTokens: 0 }
      await log.append(
        's',
        `run.run_c${count}`,
        { type: 'run.ended', run: `run_c${count}`, reason: 'failed', usage, next: 0 },
        0,
      )
    }
    const before = await SessionReplica.open(stores, 's')
    await writer().fold(before, true)
    const after = await SessionReplica.open(stores, 's')
    const title = 'new'
    await compareAndAppend(log, after, (state) =>
      state.title === title
        ? undefined
        : { subject: 'meta', event: { type: 'session.updated', title }, expect: state.metaLast },
    )
    expect(after.state.title).toBe(title)
    before.close()
    after.close()
  })

  it('is asked for when retention finds what nobody folded, and then let go', async () => {
    await play(conversation(2), 's')
    now += 2 * DAY_MS
    await stores.log.sweep()
    expect(asked).toEqual(['s'])
    const { reset } = await shownToAll('s', `${stores.log.epoch}.1`)
    expect(reset).toBe(false)
    const session = await SessionReplica.open(stores, 's')
    await writer().fold(session, true)
    await stores.log.sweep()
    expect((await shownToAll('s', `${stores.log.epoch}.1`)).reset).toBe(true)
    session.close()
  })
})
