// Compares simulated groups of runs and readers with known differences.
import { Counter, Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { compare } from './comparison.ts'
import { rate, share } from './interval.ts'
import { between, parseScrape } from './scrape.ts'
import { table } from './table.ts'

const groups = { label: 'variant', a: 'control', b: 'other' }

describe('a comparison', () => {
  it('finds planted differences and their direction', async () => {
    const random = seeded(1)
    const rows = await compared(random, 2_000, { scale: 1.5, failed: 0.12, breaks: 0.02 })
    expect(verdicts(rows)).toEqual({
      'first token, p50': 'higher',
      'first token, p95': 'higher',
      'completion, p50': 'too little data',
      'completion, p95': 'too little data',
      'interruption, p50': 'no difference seen',
      completed: 'lower',
      failed: 'higher',
      cancelled: 'no difference seen',
      superseded: 'no difference seen',
      abandoned: 'no difference seen',
      reconnects: 'lower',
      interruptions: 'lower',
    })
    expect(rows.find(({ what }) => what === 'reconnects')?.found?.a).toBeCloseTo(0.1, 1)
  })

  it('of models omits the rows of readers, which have no model', () => {
    const whats = compare([], { label: 'gen_ai_request_model', a: 'x', b: 'y' }).map(({ what }) => what)
    expect(whats).toContain('abandoned')
    expect(whats.filter((what) => /reconnect|interruption/.test(what))).toEqual([])
  })

  it('raises few false alarms for equal groups', async () => {
    const random = seeded(2)
    let alarms = 0
    const rounds = 120
    for (let round = 0; round < rounds; round += 1) {
      const rows = await compared(random, 300, { scale: 1, failed: 0.04, breaks: 0.1 })
      if (rows.some(({ verdict }) => verdict === 'higher' || verdict === 'lower')) alarms += 1
    }
    // At 5%, 6 of 120 are expected; more than 12 would happen in less than one of a hundred such tests.
    expect(alarms).toBeLessThanOrEqual(12)
  })

  it('says how much data is missing', async () => {
    const rows = await compared(seeded(3), 15, { scale: 3, failed: 0.5, breaks: 1 })
    expect(new Set(rows.map(({ verdict }) => verdict))).toEqual(new Set(['too little data']))
    const needed = Object.fromEntries(rows.map(({ what, needed: fewest }) => [what, fewest]))
    expect(needed).toMatchObject({ 'first token, p50': 20, 'first token, p95': 200, failed: 30, reconnects: 30 })
    expect(table(rows, 'control', 'other')).toMatch(
      /^first token, p95 +15 \/ 15 +too little data: each group needs 200$/m,
    )
  })
})

describe('scrapes', () => {
  it('yield the increase between them, and the whole value of a restarted counter', () => {
    const before = parseScrape('# HELP x y\na_total{node="n,1",k="\\"q\\""} 5\nb_total 9\n')
    const after = parseScrape('a_total{k="\\"q\\"",node="n,1"} 7\nb_total 4\nc_total 1 1700000000000\n')
    expect(between(before, after).map(({ value }) => value)).toEqual([2, 4, 1])
    expect(after[0]?.labels).toEqual({ k: '"q"', node: 'n,1' })
  })

  it('with a malformed line are refused', () => {
    expect(() => parseScrape('<html>')).toThrow('line 1')
  })
})

it('intervals of no event among n have the upper end z² / (n + z²), of a rate z² / n', () => {
  expect(share(0, 10)).toEqual({ estimate: 0, low: expect.closeTo(0), high: expect.closeTo(9 / 19) })
  expect(share(10, 10)).toEqual({ estimate: 1, low: expect.closeTo(10 / 19), high: expect.closeTo(1) })
  expect(rate(0, 10)).toEqual({ estimate: 0, low: expect.closeTo(0), high: expect.closeTo(0.9, 4) })
})

/** Simulates runs of two groups, and passes them through the text of the metrics library. */
async function compared(
  random: () => number,
  runs: number,
  other: { readonly scale: number; readonly failed: number; readonly breaks: number },
) {
  const registry = new Registry()
  const registers = [registry]
  const first = new Histogram({
    name: 'gen_ai_server_time_to_first_token_seconds',
    help: 'h',
    labelNames: ['variant'],
    buckets: [0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 50],
    registers,
  })
  const ended = new Counter({ name: 'parley_runs_total', help: 'h', labelNames: ['variant', 'outcome'], registers })
  const left = new Counter({ name: 'parley_runs_abandoned_total', help: 'h', labelNames: ['variant'], registers })
  const attaches = new Counter({ name: 'parley_attaches_total', help: 'h', labelNames: ['variant', 'kind'], registers })
  const gaps = new Histogram({
    name: 'parley_resume_gap_seconds',
    help: 'h',
    labelNames: ['variant'],
    buckets: [0.5, 1, 2, 4, 8],
    registers,
  })
  for (const variant of [groups.a, groups.b]) {
    const { scale, failed, breaks } = variant === groups.a ? { scale: 1, failed: 0.04, breaks: 0.1 } : other
    for (let run = 0; run < runs; run += 1) {
      first.observe({ variant }, -Math.log(1 - random()) * scale)
      const chance = random()
      ended.inc({ variant, outcome: chance < failed ? 'failed' : chance > 0.9 ? 'cancelled' : 'completed' })
      if (random() < 0.05) left.inc({ variant })
      attaches.inc({ variant, kind: 'new' })
      if (random() < breaks) attaches.inc({ variant, kind: random() < 0.9 ? 'resumed' : 'reset' })
      if (random() < breaks) gaps.observe({ variant }, random() * 8)
    }
  }
  return compare(parseScrape(await registry.metrics()), groups)
}

function verdicts(rows: ReturnType<typeof compare>) {
  return Object.fromEntries(rows.map(({ what, verdict }) => [what, verdict]))
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
