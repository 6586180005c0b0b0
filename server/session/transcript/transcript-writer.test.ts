// Compaction over the real stores: replay and the state in memory are the same before and after it, with one or many
// segments, and before or after the log was trimmed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import { offerAgain } from '../commands/call-again.ts'
import { compareAndAppend } from '../commands/compare-and-append.ts'
import { SessionReplica } from '../session-replica.ts'
import { applyEntries, parseEntry } from '../state/apply-entry.ts'
import { EMPTY_SESSION, findCall } from '../state/session-state.ts'
import { ScriptedLog, type Step } from '../test/scripted-log.ts'
import { visibleState } from '../test/visible-state.ts'
import type { ProjectedEntry } from './entry-projection.ts'
import { replay } from './replay.ts'
import { TranscriptWriter } from './transcript-writer.ts'

const DAY_MS = 86_400_000
const logger = pino({ level: 'silent' })

let path: string
let stores: LmdbStores
let now = Date.now()
let uncovered: string[] = []

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-compact-'))
  uncovered = []
  stores = await openLmdbStores({
    path,
    logger,
    retention: { maxAgeMs: DAY_MS },
    now: () => now,
    onUncovered: (sessions) => uncovered.push(...sessions),
  })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

function writer(segmentBytes = 4_096): TranscriptWriter {
  return new TranscriptWriter(stores, { minTailBytes: 1_024, fraction: 0.25, segmentBytes, logger })
}

/** Appends the entries of a script to the real log. */
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

async function replayed(session: string, after?: string): Promise<{ reset: boolean; entries: ProjectedEntry[] }> {
  const { reset, batches } = await replay(stores, session, after)
  const entries: ProjectedEntry[] = []
  for await (const batch of batches) entries.push(...batch.entries)
  return { reset, entries }
}

function visibleStateOf(entries: readonly ProjectedEntry[]): unknown {
  return visibleState(applyEntries(EMPTY_SESSION, entries.map(parseEntry)))
}

describe('a compacted session', () => {
  it('replays in order from many segments and the tail', async () => {
    const script = conversation(60)
    await play(script, 's')
    const session = await SessionReplica.open(stores, 's')
    await writer().compact(session)
    const transcript = await stores.transcripts.load('s')
    expect(transcript?.sealed).toBeGreaterThan(1)
    await stores.log.append(
      's',
      'in.late',
      { type: 'message', id: 'late', role: 'user', author: 'u', content: [], policy: 'queue', run: 'run_late' },
      0,
    )
    script.apply({ kind: 'title', pick: 1 })
    const { entries } = await replayed('s')
    const seqs = entries.map((entry) => entry.seq)
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
    expect(visibleStateOf(entries.slice(0, -1))).toEqual({
      ...(visibleState(script.state) as object),
      title: session.state.title,
    })
    session.close()
  })

  it('has the same state, with its settings, when it is opened again', async () => {
    const script = conversation(10)
    await play(script, 's')
    const before = await SessionReplica.open(stores, 's')
    await writer(1_000_000).compact(before)
    const after = await SessionReplica.open(stores, 's')
    expect(visibleState(after.state)).toEqual(visibleState(before.state))
    expect(after.state.title).toBe(before.state.title)
    expect(after.state.commands).toEqual(before.state.commands)
    before.close()
    after.close()
  })

  it('is compacted again only when its tail has grown by a fraction', async () => {
    await play(conversation(20), 's')
    const session = await SessionReplica.open(stores, 's')
    await writer(1_000_000).compact(session)
    await stores.log.append(
      's',
      'meta',
      { type: 'session.updated', title: 'small' },
      await stores.log.last('s', 'meta'),
    )
    await writer(1_000_000).compact(session)
    expect((await stores.transcripts.load('s'))?.revision).toBe(1)
    await writer(1_000_000).compact(session, true)
    expect((await stores.transcripts.load('s'))?.revision).toBe(2)
    session.close()
  })

  it('resets readers of an old cursor once the log is trimmed', async () => {
    const script = conversation(30)
    await play(script, 's')
    const session = await SessionReplica.open(stores, 's')
    const old = `${stores.log.epoch}.3`
    await writer().compact(session)
    expect(await replayed('s', old)).toMatchObject({ reset: false })
    now += 2 * DAY_MS
    await stores.log.sweep()
    const { reset, entries } = await replayed('s', old)
    expect(reset).toBe(true)
    expect(visibleStateOf(entries)).toEqual(visibleState(script.state))
    session.close()
  })

  // A spread dropped the event of an entry, which is a getter: such a session could never be compacted again, and its
  // run handlers failed permanently. The state also kept the call's position instead of its last sequence number.
  it('keeps calls that were offered again, and they can be offered once more', async () => {
    const script = new ScriptedLog()
    for (const kind of ['message', 'output', 'call'] as const) script.apply({ kind, pick: 1 })
    await play(script, 's')
    const before = await SessionReplica.open(stores, 's')
    const [call] = before.state.open[0]?.calls.values() ?? []
    const id = call?.id ?? ''
    await offerAgain(stores.log, before, id, () => true)
    await writer().compact(before, true)
    const after = await SessionReplica.open(stores, 's')
    expect(findCall(after.state, id)?.call).toMatchObject({ attempt: 2, claim: undefined, result: undefined })
    await offerAgain(stores.log, after, id, () => true)
    expect(findCall(after.state, id)?.call.attempt).toBe(3)
    before.close()
    after.close()
  })

  // Not all closed segments are loaded, so the sequence number of the last settings is unknown.
  it('accepts new settings if the last ones are in an old segment', async () => {
    const script = new ScriptedLog()
    script.apply({ kind: 'title', pick: 1 })
    await play(script, 's')
    const { log } = stores
    for (let count = 0; count < 3; count += 1) {
      const content = [{ type: 'text' as const, text: 'x'.repeat(600_000) }]
      const fields = { type: 'message', role: 'user', author: 'u', policy: 'queue' } as const
      await log.append('s', `in.c${count}`, { ...fields, id: `c${count}`, content, run: `run_c${count}` }, 0)
      const usage = { inputTokens: 0, outputTokens: 0 }
      await log.append(
        's',
        `run.run_c${count}`,
        { type: 'run.ended', run: `run_c${count}`, reason: 'failed', usage, next: 0 },
        0,
      )
    }
    const before = await SessionReplica.open(stores, 's')
    await writer().compact(before, true)
    const after = await SessionReplica.open(stores, 's')
    const title = 'new'
    await compareAndAppend(log, after, (state) =>
      state.title === title
        ? undefined
        : { subject: 'meta', event: { type: 'session.updated', title }, expect: state.lastMetaSeq },
    )
    expect(after.state.title).toBe(title)
    before.close()
    after.close()
  })

  it('is requested by the retention if it is not compacted, and trimmed after compaction', async () => {
    await play(conversation(2), 's')
    now += 2 * DAY_MS
    await stores.log.sweep()
    expect(uncovered).toEqual(['s'])
    const { reset } = await replayed('s', `${stores.log.epoch}.1`)
    expect(reset).toBe(false)
    const session = await SessionReplica.open(stores, 's')
    await writer().compact(session, true)
    await stores.log.sweep()
    expect((await replayed('s', `${stores.log.epoch}.1`)).reset).toBe(true)
    session.close()
  })
})
