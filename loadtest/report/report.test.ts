// The report: its figures follow from the records, and its HTML page is self-contained.
import { describe, expect, it } from 'vitest'
import { capacityOf, nodesFor, type Step } from '../capacity.ts'
import type { AskRecord } from '../generator-message.ts'
import { parseOptions } from '../options.ts'
import type { PhaseResult } from '../phase.ts'
import { quantile } from '../quantile.ts'
import { randomOf } from '../random.ts'
import { NO_FAULTS } from '../stream-verifier.ts'
import { html } from './html.ts'
import { makeReport } from './report.ts'
import { table } from './table.ts'

const record = (at: number, more: Partial<AskRecord> = {}): AskRecord => ({
  door: 'sse',
  at,
  late: 0,
  first: 110 + at,
  done: 1_010 + at,
  meantFirst: 100,
  meantDone: 1_000,
  outputs: 50,
  outcome: 'completed',
  interruptions: 0,
  resets: 0,
  gaps: [],
  faults: NO_FAULTS,
  ...more,
})

function reportOf(records: readonly AskRecord[], command = 'npm run loadtest') {
  const second = {
    outputs: 10,
    asked: 1,
    ended: 1,
    interruptions: 0,
    faults: 0,
    active: 3,
    cores: 0.1,
    residentBytes: 1e8,
  }
  const phase: PhaseResult = {
    doors: ['sse'],
    users: 10,
    seconds: [3, 4, 5].map((at) => ({ at, ...second })),
    records,
    bytes: { sse: 20_000 },
    health: [{ loopDelay: 3, lateness: 1, cpu: 0.2 }],
    cpuMs: 400,
  }
  return makeReport({
    startedAt: '2026-01-01T00:00:00.000Z',
    command,
    machine: 'one',
    nodes: 1,
    impairments: { latencyMs: 0, jitterMs: 0 },
    proxy: undefined,
    together: false,
    phases: [phase],
    memory: undefined,
    goal: { addedMs: 500, utilization: 0.7 },
    plan: 1_000,
    seed: 1,
    steady: { from: 1_000, to: 10_000 },
  })
}

describe('a report', () => {
  it('summarizes the records of each transport', () => {
    const records = Array.from({ length: 100 }, (_, at) => record(at))
    const [summary] = reportOf([
      ...records,
      record(0, { outcome: 'abandoned', interruptions: 2, gaps: [40, 60] }),
    ]).summaries
    expect(summary).toMatchObject({ asked: 101, completed: 100, abandoned: 1, interruptions: 2, interrupted: 1 })
    expect(summary?.firstAdded?.p50).toBe(59)
    expect(summary?.resumeGap).toEqual({ p50: 40, p95: 60, p99: 60 })
    expect(summary?.cpuMsPerAsk).toBeCloseTo(400 / 101)
    expect(summary?.bytesPerAsk).toBeCloseTo(20_000 / 101)
  })

  it.each<Partial<AskRecord>>([
    { faults: { ...NO_FAULTS, lost: 1 } },
    { faults: { ...NO_FAULTS, repeated: 1 } },
    { faults: { ...NO_FAULTS, reordered: 1 } },
    { faults: { ...NO_FAULTS, wrong: 1 } },
    { outcome: 'unfinished' },
    { outcome: 'failed', error: 'refused: queue_full' },
  ])('is not faultless with %j', (more) => {
    expect(reportOf([record(1)]).faultless).toBe(true)
    const report = reportOf([record(1), record(2, more)])
    expect(report.faultless).toBe(false)
    expect(table(report)).toContain('NOT complete')
  })

  it('is not faultless without questions', () => {
    expect(reportOf([]).faultless).toBe(false)
  })

  it('is a self-contained page that escapes text from outside', () => {
    const page = html(reportOf([record(1)], '<img src=x> "quoted"'))
    expect(page).not.toContain('<img')
    expect(page).not.toMatch(/<(script|link)[^>]*(src|href)=/)
    expect(page).toContain('uPlot')
    expect(page.match(/<script/g)).toHaveLength(3)
  })
})

describe('the capacity model', () => {
  const goal = { addedMs: 50, utilization: 0.7 }
  const step = (users: number, addedMs: number, core = users * 0.001): Step => ({
    users,
    nodes: 1,
    cores: [core * 0.9, core, core * 1.1],
    addedMs,
  })

  it('is limited by CPU if the goal was met, with a range from the seconds', () => {
    const found = capacityOf('ws', [step(100, 5)], goal, randomOf(1))
    expect(found).toMatchObject({ bound: 'cpu' })
    expect(Math.abs((found?.users ?? 0) - 700)).toBeLessThan(3)
    expect(found?.beyond).toBeCloseTo(7, 1)
    expect(found?.low).toBeLessThan(700)
    expect(found?.high).toBeGreaterThan(700)
  })

  it('is limited by latency if a step missed the goal first', () => {
    const found = capacityOf('ws', [step(400, 90), step(100, 5), step(200, 20)], goal, randomOf(1))
    expect(found).toMatchObject({ bound: 'latency', low: 200, high: 400, users: 300 })
    expect(nodesFor(1_000, found as NonNullable<typeof found>)).toEqual({ from: 3, to: 5 })
  })

  it('reports that no step met the goal', () => {
    const found = capacityOf('short-poll', [step(100, 900)], goal, randomOf(1))
    expect(found).toMatchObject({ bound: 'missed' })
    expect(found?.users).toBeGreaterThan(600)
  })

  it('gives no result without CPU figures', () => {
    expect(capacityOf('ws', [{ users: 10, nodes: 1, cores: [], addedMs: 5 }], goal, randomOf(1))).toBeUndefined()
  })
})

describe('a quantile', () => {
  it('is one of the values', () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    expect([0, 0.5, 0.95, 0.99, 1].map((q) => quantile(values, q))).toEqual([1, 5, 10, 10, 10])
    expect(quantile([], 0.5)).toBeUndefined()
  })
})

describe('options', () => {
  it('default to all transports', () => {
    expect(parseOptions([])).toMatchObject({
      doors: ['ws', 'sse', 'ndjson', 'request', 'long-poll', 'short-poll'],
      steps: [100],
      habits: { durationMs: 30_000, arrivalMs: 6_000, seed: 1 },
      impairments: { latencyMs: 0, jitterMs: 0 },
    })
  })

  it('are parsed', () => {
    const line =
      '--doors ws,sdk --sessions 10,20 --duration 2m --cut 5%/10s --stall 2%/1s:250ms --bandwidth 64k --url http://127.0.0.1:1/'
    expect(parseOptions(line.split(' '))).toMatchObject({
      urls: ['http://127.0.0.1:1'],
      doors: ['ws', 'sdk'],
      steps: [10, 20],
      habits: { durationMs: 120_000 },
      impairments: {
        cut: { share: 0.05, everyMs: 10_000 },
        stall: { share: 0.02, everyMs: 1_000, forMs: 250 },
        bandwidth: 64_000,
      },
    })
  })

  it.each([
    '--doors fax',
    '--sessions 0',
    '--cut 5',
    '--duration soon',
    '--bandwidth 0',
    '--utilization 2',
    '--url ftp://x',
    '--nonsense 1',
  ])('name the invalid option: %s', (line) => {
    const [name = ''] = line.split(' ')
    expect(() => parseOptions(line.split(' '))).toThrow(
      name === '--cut' || name === '--duration' || name === '--bandwidth' ? /write/ : name,
    )
  })
})
