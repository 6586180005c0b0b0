// log-bench: what an append to the LMDB log costs, all in: the whole process's CPU (LMDB's thread and fsync too) per
// append, its latency to durable, and the most it takes. Self-clocked as an owner is: one append in flight per run.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Event } from '@parley/protocol'
import { type LmdbStores, openLmdbStores } from '@parley/server/internal/store/lmdb/stores'

export interface LogBenchResult {
  readonly name: string
  readonly appends: number
  readonly perSecond: number
  readonly cpuMicrosPerAppend: number
  readonly p50: number
  readonly p99: number
}

const TOKENS_A_RUN = 200

interface Lane {
  readonly session: string
  run: number
  index: number
  last: number
}

/** Appends the next token of a run, or its end as a roll-up, and goes on with the next run. */
async function step(stores: LmdbStores, lane: Lane): Promise<void> {
  const run = `run_${lane.session}_${lane.run}`
  const ends = lane.index === TOKENS_A_RUN
  const event: Event = ends
    ? {
        type: 'run.ended',
        run,
        reason: 'completed',
        usage: { inputTokens: 10, outputTokens: TOKENS_A_RUN },
        next: TOKENS_A_RUN,
        output: [{ type: 'text', text: ' token'.repeat(TOKENS_A_RUN), index: 0, lengths: Array(TOKENS_A_RUN).fill(6) }],
      }
    : { type: 'run.output', run, index: lane.index, kind: 'text', text: ` token${lane.index}` }
  const entry = await stores.log.append(lane.session, `run.${run}`, event, lane.last, { rollup: ends })
  lane.last = ends ? 0 : entry.seq
  lane.index = ends ? 0 : lane.index + 1
  if (ends) lane.run++
}

function lanes(sessions: number): Lane[] {
  return Array.from({ length: sessions }, (_, i) => ({
    session: `session_${i}`,
    run: 0,
    index: Math.floor((i * TOKENS_A_RUN) / sessions),
    last: 0,
  }))
}

/** @param perSecond appends offered a second; 0: as many as the log takes */
export async function benchLog(perSecond: number, sessions: number, seconds: number): Promise<LogBenchResult> {
  const path = mkdtempSync(join(tmpdir(), 'parley-log-bench-'))
  const stores = await openLmdbStores({ path })
  const all = lanes(sessions)
  const start = `${stores.log.epoch}.0`
  let delivered = 0
  for (const { session } of all) {
    await stores.log.follow(session, start, {
      entries: (entries) => {
        delivered += entries.length
      },
    })
  }
  const latencies: number[] = []
  const measured = async (lane: Lane): Promise<void> => {
    const before = performance.now()
    await step(stores, lane)
    latencies.push(performance.now() - before)
  }
  const warm = performance.now()
  const cpu = process.cpuUsage()
  if (perSecond === 0) await saturate(all, measured, seconds)
  else await paced(all, measured, perSecond, seconds)
  const used = process.cpuUsage(cpu)
  const took = (performance.now() - warm) / 1000
  await stores.close()
  rmSync(path, { recursive: true, force: true })
  if (delivered !== latencies.length) throw new Error(`${latencies.length} appended, ${delivered} delivered`)
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  return {
    name: perSecond === 0 ? `saturation, ${sessions} sessions` : `${perSecond}/s, ${sessions} sessions`,
    appends: latencies.length,
    perSecond: latencies.length / took,
    cpuMicrosPerAppend: (used.user + used.system) / latencies.length,
    p50: at(0.5),
    p99: at(0.99),
  }
}

/** The same load with nothing behind it: what of the CPU is the bench's own. */
export async function benchDriver(perSecond: number, sessions: number, seconds: number): Promise<LogBenchResult> {
  const all = lanes(sessions)
  let appends = 0
  const cpu = process.cpuUsage()
  const append = async (lane: Lane): Promise<void> => {
    JSON.stringify({ type: 'run.output', run: lane.session, index: appends++, kind: 'text', text: ' token' })
    await Promise.resolve()
  }
  await paced(all, append, perSecond, seconds)
  const used = process.cpuUsage(cpu)
  const cpuMicrosPerAppend = (used.user + used.system) / appends
  return {
    name: `${perSecond}/s without a log`,
    appends,
    perSecond: appends / seconds,
    cpuMicrosPerAppend,
    p50: 0,
    p99: 0,
  }
}

async function saturate(all: Lane[], append: (lane: Lane) => Promise<void>, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000
  await Promise.all(
    all.map(async (lane) => {
      while (performance.now() < end) await append(lane)
    }),
  )
}

/** Tokens of all sessions evenly over time, in ticks of a millisecond; a session whose append is under way skips. */
async function paced(
  all: Lane[],
  append: (lane: Lane) => Promise<void>,
  perSecond: number,
  seconds: number,
): Promise<void> {
  const busy = new Set<Lane>()
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond)
    for (; sent < due; sent++) {
      const lane = all[sent % all.length] as Lane
      if (busy.has(lane)) continue
      busy.add(lane)
      void append(lane).finally(() => busy.delete(lane))
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  while (busy.size > 0) await new Promise((resolve) => setTimeout(resolve, 1))
}

export function logBenchTable(results: readonly LogBenchResult[]): string {
  const rows = results.map(
    (r) =>
      `| ${r.name} | ${r.perSecond.toFixed(0)} | ${r.cpuMicrosPerAppend.toFixed(1)} | ${r.p50.toFixed(2)} | ${r.p99.toFixed(2)} |`,
  )
  return ['| load | appends/s | CPU µs/append | p50 ms | p99 ms |', '| --- | --: | --: | --: | --: |', ...rows].join(
    '\n',
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const results = [
    await benchLog(100, 100, 5),
    await benchLog(1000, 500, 5),
    await benchDriver(10_000, 2000, 5),
    await benchLog(10_000, 2000, 10),
    await benchLog(0, 2000, 5),
  ]
  console.log(logBenchTable(results))
}
