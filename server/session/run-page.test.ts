// Finding a run and reading it in pages, over the real stores. A client that follows the cursors of the pages gets the
// run's state according to the log, whatever compaction and trimming happen meanwhile. A run is found as long as its
// session exists.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, formatCursor, makeId } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../store/lmdb/stores.ts'
import { lookUpRun } from './find-run.ts'
import { readRunPage } from './run-page.ts'
import { type FoundRun, jobState, runProgress, runResult } from './run-report.ts'
import { SessionReplica } from './session-replica.ts'
import { applyEntry } from './state/apply-entry.ts'
import { toParts } from './state/run-output.ts'
import { EMPTY_SESSION, findRun, type SessionState } from './state/session-state.ts'
import { ScriptedLog, STEP_KINDS, type Step } from './test/scripted-log.ts'
import { TranscriptWriter } from './transcript/transcript-writer.ts'

const DAY_MS = 86_400_000
const logger = pino({ level: 'silent' })

let path: string
let stores: LmdbStores
let now = Date.now()

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-page-'))
  now = Date.now()
  stores = await openLmdbStores({ path, logger, retention: { maxAgeMs: DAY_MS }, now: () => now })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

/** A client that polls for a run and applies the entries that it receives. */
class Poller {
  readonly run: string
  readonly #session: string
  cursor: string | undefined
  state: SessionState = EMPTY_SESSION

  constructor(session: string, run: string) {
    this.#session = session
    this.run = run
  }

  async poll(session: SessionReplica): Promise<FoundRun> {
    const found = await lookUpRun(stores, session, this.run)
    if (found === undefined) throw new Error(`${this.run} is not found`)
    for (let more = true; more; ) {
      const page = await readRunPage(stores, this.#session, found, session.state.seq, this.cursor)
      if (page.reset) this.state = EMPTY_SESSION
      for (const { seq, time, json } of page.entries) {
        const event = JSON.parse(json) as Event
        // The pages lack the end of the run that a late message was sent to, so it counts as the message of this run.
        const late = event.type === 'message' && lateSteerRun(event.id) === this.run
        this.state = applyEntry(this.state, {
          seq,
          time,
          event: late ? { ...event, policy: 'queue' as const, run: this.run } : event,
        })
      }
      this.cursor = formatCursor(stores.log.epoch, page.position)
      more = page.more
    }
    return found
  }

  get result(): unknown {
    return resultOf(this.state, this.run)
  }
}

function resultOf(state: SessionState, run: string): unknown {
  const record = findRun(state, run)
  const results = [...(record?.calls.values() ?? [])].map((call) => [call.id, call.result?.output])
  // Unseen text is marked either in the end or in the compacted output. Only the text itself must be equal.
  const text = toParts(record?.output)
    .map((part) => (part.type === 'text' ? part.text : ''))
    .join('')
  return { text, reason: record?.ended?.reason, results }
}

async function appendEndedRun(session: string, run: string, text: string): Promise<void> {
  const { log } = stores
  const content = [{ type: 'text' as const, text: 'go' }]
  const message = `m_${run}`
  const usage = { inputTokens: 1, outputTokens: 2 }
  const output = [{ type: 'text' as const, text, index: 0, lengths: [text.length] }]
  await log.append(
    session,
    `in.${message}`,
    { type: 'message', id: message, role: 'user', author: 'u', policy: 'queue', content, run },
    0,
  )
  await log.append(
    session,
    `run.${run}`,
    { type: 'run.ended', run, message, reason: 'completed', usage, next: 1, output },
    0,
  )
}

describe('a run that is read in pages', () => {
  const step = fc.record({ kind: fc.constantFrom(...STEP_KINDS), pick: fc.nat(20) })
  const task = fc.constantFrom('none', 'none', 'compact', 'trim')
  const plan = fc.array(fc.tuple(fc.array(step, { maxLength: 12 }), task), { minLength: 1, maxLength: 8 })

  it('matches the log whatever is compacted and trimmed between two polls', async () => {
    let count = 0
    await fc.assert(
      fc.asyncProperty(plan, async (rounds) => {
        const id = `s_${count++}`
        const script = new ScriptedLog()
        const writer = new TranscriptWriter(stores, { minTailBytes: 1, fraction: 0, segmentBytes: 512, logger })
        const session = await SessionReplica.open(stores, id)
        const pollers = new Map<string, Poller>()
        const last = new Map<string, number>()
        let played = 0
        for (const [steps, then] of rounds) {
          for (const each of steps as Step[]) script.apply(each)
          for (const { subject, event, rollup } of script.entries.slice(played)) {
            const entry = await stores.log.append(id, subject, event, last.get(subject) ?? 0, { rollup })
            last.set(subject, entry.seq)
          }
          played = script.entries.length
          if (then !== 'none') await writer.compact(session, true)
          if (then === 'trim') {
            now += 2 * DAY_MS
            await stores.log.sweep()
          }
          const runs = [...script.state.open.map((run) => run.id), ...script.state.ended.keys()]
          for (const run of runs) if (!pollers.has(run)) pollers.set(run, new Poller(id, run))
          for (const poller of pollers.values()) {
            const found = await poller.poll(session)
            expect(poller.result).toEqual(resultOf(script.state, poller.run))
            expect(runProgress(found).outputs).toBe(findRun(script.state, poller.run)?.next)
          }
        }
        // A new replica and a new poller give the same result.
        const again = await SessionReplica.open(stores, id)
        for (const { run } of pollers.values()) {
          const late = new Poller(id, run)
          await late.poll(again)
          expect(late.result).toEqual(resultOf(script.state, run))
        }
        session.close()
        again.close()
      }),
      { numRuns: 40 },
    )
  })

  it('comes in limited pages without gaps', async () => {
    const run = makeId('run')
    const big = 'x'.repeat(40_000)
    const session = await SessionReplica.open(stores, 's')
    const start = { type: 'run.started', run, epoch: 1, mode: 'new', model: 'm', message: 'm1', next: 0 } as const
    const content = [{ type: 'text' as const, text: 'go' }]
    await stores.log.append(
      's',
      'in.m1',
      { type: 'message', id: 'm1', role: 'user', author: 'u', policy: 'queue', content, run },
      0,
    )
    let before = (await stores.log.append('s', `run.${run}`, start, 0)).seq
    for (let index = 0; index < 30; index += 1) {
      const event = { type: 'run.output', run, index, kind: 'text', text: big } as const
      before = (await stores.log.append('s', `run.${run}`, event, before)).seq
    }
    const found = await lookUpRun(stores, session, run)
    if (found === undefined) throw new Error('not found')
    let after: string | undefined
    let pages = 0
    let text = ''
    for (let more = true; more; ) {
      const page = await readRunPage(stores, 's', found, session.state.seq, after)
      expect(JSON.stringify(page.entries).length).toBeLessThan(600_000)
      text += page.entries.map(({ json }) => (JSON.parse(json) as { text?: string }).text ?? '').join('')
      after = formatCursor(stores.log.epoch, page.position)
      more = page.more
      pages += 1
    }
    expect(pages).toBeGreaterThan(2)
    expect(text).toBe(big.repeat(30))
    session.close()
  })

  it.each([
    ['of another epoch', () => 'elsewhere.5'],
    ['beyond the head', () => `${stores.log.epoch}.900000`],
  ])('starts from the first entry for a cursor %s', async (_, cursor) => {
    const run = makeId('run')
    await appendEndedRun('s', run, 'hello')
    const session = await SessionReplica.open(stores, 's')
    const found = await lookUpRun(stores, session, run)
    if (found === undefined) throw new Error('not found')
    const page = await readRunPage(stores, 's', found, session.state.seq, cursor())
    expect(page.reset).toBe(true)
    expect(page.entries.map(({ json }) => (JSON.parse(json) as Event).type)).toEqual(['message', 'run.ended'])
    await expect(readRunPage(stores, 's', found, session.state.seq, 'nonsense')).rejects.toMatchObject({
      code: 'invalid_cursor',
    })
    session.close()
  })
})

describe('an old run', () => {
  /** Appends so much that only a part of the session is in memory. */
  async function longSession(): Promise<string[]> {
    const runs: string[] = []
    for (let i = 0; i < 40; i += 1) {
      now += 3_600_000
      const run = i === 5 ? 'steer_an-old-one' : makeId('run', now)
      runs.push(run)
      await appendEndedRun('s', run, `${i} ${'x'.repeat(60_000)}`)
    }
    const session = await SessionReplica.open(stores, 's')
    await new TranscriptWriter(stores, {
      minTailBytes: 1,
      fraction: 0,
      segmentBytes: 128 * 1024,
      logger,
    }).compact(session, true)
    session.close()
    now += 2 * DAY_MS
    await stores.log.sweep()
    return runs
  }

  it('is found in closed segments with its result, whether or not its id contains a time', async () => {
    const runs = await longSession()
    const session = await SessionReplica.open(stores, 's')
    expect(findRun(session.state, runs[5] ?? '')).toBeUndefined()
    for (const [i, run] of runs.entries()) {
      const found = await lookUpRun(stores, session, run)
      if (found === undefined) throw new Error(`${run} is not found`)
      expect(jobState(found)).toBe('completed')
      const result = runResult('s', found.record, (seq) => formatCursor('e', seq))
      expect(result?.text.split(' ')[0]).toBe(`${i}`)
      const { entries } = await readRunPage(stores, 's', found, session.state.seq)
      expect(entries.map(({ json }) => (JSON.parse(json) as Event).type)).toEqual(['message', 'run.ended'])
      expect(runProgress(found).endedAt).toBeGreaterThan(0)
    }
    session.close()
  })

  it('is not found if it never existed', async () => {
    await longSession()
    const session = await SessionReplica.open(stores, 's')
    for (const run of [makeId('run', now - 10 * 3_600_000), makeId('run', now + DAY_MS), 'run_0', 'steer_x']) {
      expect(await lookUpRun(stores, session, run)).toBeUndefined()
    }
    session.close()
  })
})
