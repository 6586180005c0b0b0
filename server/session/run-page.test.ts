// Looking a run up, and reading it by pages, over the real stores: whoever follows the cursors of the pages holds what
// the log says of the run, however it was folded, rolled up and trimmed meanwhile; and a run is found for as long as its
// session is there.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, formatCursor, makeId } from '@parley/protocol'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../store/lmdb/stores.ts'
import { lookUpRun } from './find-run.ts'
import { readRunPage } from './run-page.ts'
import { type FoundRun, jobState, runProgress, runResult } from './run-report.ts'
import { SessionReplica } from './session-replica.ts'
import { fold } from './state/apply-entry.ts'
import { toParts } from './state/run-output.ts'
import { EMPTY_SESSION, findRun, lateSteerRun, type SessionState } from './state/session-state.ts'
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

/** Somebody who asks for a run now and then, and holds what he was given. */
class Poller {
  readonly run: string
  readonly #session: string
  cursor: string | undefined
  held: SessionState = EMPTY_SESSION

  constructor(session: string, run: string) {
    this.#session = session
    this.run = run
  }

  async poll(session: SessionReplica): Promise<FoundRun> {
    const found = await lookUpRun(stores, session, this.run)
    if (found === undefined) throw new Error(`${this.run} is not found`)
    for (let more = true; more; ) {
      const page = await readRunPage(stores, this.#session, found, session.state.seq, this.cursor)
      if (page.reset) {
        this.held = EMPTY_SESSION
      }
      for (const { seq, time, json } of page.shown) {
        const event = JSON.parse(json) as Event
        // He does not see the end of the run that it came too late for: to him it is a message of this run.
        const late = event.type === 'message' && lateSteerRun(event.id) === this.run
        this.held = fold(this.held, {
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

  get said(): unknown {
    return saidBy(this.held, this.run)
  }
}

function saidBy(state: SessionState, run: string): unknown {
  const view = findRun(state, run)
  const results = [...(view?.calls.values() ?? [])].map((call) => [call.id, call.result?.output])
  // What was not seen is marked in the end, or in the output that it was given later: the text is the same.
  const text = toParts(view?.output)
    .map((part) => (part.type === 'text' ? part.text : ''))
    .join('')
  return { text, reason: view?.ended?.reason, results }
}

async function ended(session: string, run: string, text: string): Promise<void> {
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

describe('a run that is read by pages', () => {
  const step = fc.record({ kind: fc.constantFrom(...STEP_KINDS), pick: fc.nat(20) })
  const chore = fc.constantFrom('none', 'none', 'fold', 'trim')
  const plan = fc.array(fc.tuple(fc.array(step, { maxLength: 12 }), chore), { minLength: 1, maxLength: 8 })

  it('is what the log says, whatever is folded, rolled up and trimmed between two polls', async () => {
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
          if (then !== 'none') await writer.fold(session, true)
          if (then === 'trim') {
            now += 2 * DAY_MS
            await stores.log.sweep()
          }
          const runs = [...script.state.open.map((run) => run.id), ...script.state.ended.keys()]
          for (const run of runs) if (!pollers.has(run)) pollers.set(run, new Poller(id, run))
          for (const poller of pollers.values()) {
            const found = await poller.poll(session)
            expect(poller.said).toEqual(saidBy(script.state, poller.run))
            expect(runProgress(found).outputs).toBe(findRun(script.state, poller.run)?.next)
          }
        }
        // Somebody who opens the session anew, and a new poller, find the same.
        const again = await SessionReplica.open(stores, id)
        for (const { run } of pollers.values()) {
          const late = new Poller(id, run)
          await late.poll(again)
          expect(late.said).toEqual(saidBy(script.state, run))
        }
        session.close()
        again.close()
      }),
      { numRuns: 40 },
    )
  })

  it('comes in bounded pages that join up', async () => {
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
      expect(JSON.stringify(page.shown).length).toBeLessThan(600_000)
      text += page.shown.map(({ json }) => (JSON.parse(json) as { text?: string }).text ?? '').join('')
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
  ])('begins anew for a cursor %s', async (_, cursor) => {
    const run = makeId('run')
    await ended('s', run, 'hello')
    const session = await SessionReplica.open(stores, 's')
    const found = await lookUpRun(stores, session, run)
    if (found === undefined) throw new Error('not found')
    const page = await readRunPage(stores, 's', found, session.state.seq, cursor())
    expect(page.reset).toBe(true)
    expect(page.shown.map(({ json }) => (JSON.parse(json) as Event).type)).toEqual(['message', 'run.ended'])
    await expect(readRunPage(stores, 's', found, session.state.seq, 'nonsense')).rejects.toMatchObject({
      code: 'invalid_cursor',
    })
    session.close()
  })
})

describe('a run of long ago', () => {
  /** So much that only a part of the session is folded into memory. */
  async function longSession(): Promise<string[]> {
    const runs: string[] = []
    for (let i = 0; i < 40; i += 1) {
      now += 3_600_000
      const run = i === 5 ? 'steer_an-old-one' : makeId('run', now)
      runs.push(run)
      await ended('s', run, `${i} ${'x'.repeat(60_000)}`)
    }
    const session = await SessionReplica.open(stores, 's')
    await new TranscriptWriter(stores, {
      minTailBytes: 1,
      fraction: 0,
      segmentBytes: 128 * 1024,
      logger,
    }).fold(session, true)
    session.close()
    now += 2 * DAY_MS
    await stores.log.sweep()
    return runs
  }

  it('is found in the sealed segments, with its result, whether its id tells its time or not', async () => {
    const runs = await longSession()
    const session = await SessionReplica.open(stores, 's')
    expect(findRun(session.state, runs[5] ?? '')).toBeUndefined()
    for (const [i, run] of runs.entries()) {
      const found = await lookUpRun(stores, session, run)
      if (found === undefined) throw new Error(`${run} is not found`)
      expect(jobState(found.view)).toBe('completed')
      const result = runResult('s', found.view, (seq) => formatCursor('e', seq))
      expect(result?.text.split(' ')[0]).toBe(`${i}`)
      const { shown } = await readRunPage(stores, 's', found, session.state.seq)
      expect(shown.map(({ json }) => (JSON.parse(json) as Event).type)).toEqual(['message', 'run.ended'])
      expect(runProgress(found).endedAt).toBeGreaterThan(0)
    }
    session.close()
  })

  it('that never was is not found', async () => {
    await longSession()
    const session = await SessionReplica.open(stores, 's')
    for (const run of [makeId('run', now - 10 * 3_600_000), makeId('run', now + DAY_MS), 'run_0', 'steer_x']) {
      expect(await lookUpRun(stores, session, run)).toBeUndefined()
    }
    session.close()
  })
})
