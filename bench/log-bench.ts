// log-bench: the cost of an append to the embedded log: CPU of the whole process (including LMDB's thread and fsync),
// latency until it is durable, and maximum throughput. As in production, each run has one append in flight.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@parley/protocol'
import { type LmdbStores, openLmdbStores } from '@parley/server/internal/store/lmdb/stores'
import { advance, appendAtRate, type BenchSession, makeSessions, TOKENS_A_RUN } from './append-load.ts'

export interface LogBenchResult {
  readonly name: string
  readonly appends: number
  readonly perSecond: number
  readonly cpuMicrosPerAppend: number
  readonly p50: number
  readonly p99: number
}

/** Appends the next token of a run, or its compacted end, and continues with the next run. */
async function step(stores: LmdbStores, session: BenchSession): Promise<void> {
  const run = `run_${session.id}_${session.run}`
  const ends = session.index === TOKENS_A_RUN
  const event: Event = ends
    ? {
        type: 'run.ended',
        run,
        reason: 'completed',
        usage: { inputTokens: 10, outputTokens: TOKENS_A_RUN },
        next: TOKENS_A_RUN,
        output: [{ type: 'text', text: ' token'.repeat(TOKENS_A_RUN), index: 0, lengths: Array(TOKENS_A_RUN).fill(6) }],
      }
    : { type: 'run.output', run, index: session.index, kind: 'text', text: ` token${session.index}` }
  const entry = await stores.log.append(session.id, `run.${run}`, event, session.last, { rollup: ends })
  advance(session, entry.seq)
}

/** @param perSecond offered appends per second; 0: as many as the log accepts */
export async function benchLog(perSecond: number, sessions: number, seconds: number): Promise<LogBenchResult> {
  const path = mkdtempSync(join(tmpdir(), 'parley-log-bench-'))
  const stores = await openLmdbStores({ path })
  const all = makeSessions(sessions)
  const start = `${stores.log.epoch}.0`
  let delivered = 0
  for (const { id } of all) {
    await stores.log.follow(id, start, {
      entries: (entries) => {
        delivered += entries.length
      },
    })
  }
  const latencies: number[] = []
  const measured = async (session: BenchSession): Promise<void> => {
    const before = performance.now()
    await step(stores, session)
    latencies.push(performance.now() - before)
  }
  const warm = performance.now()
  const cpu = process.cpuUsage()
  if (perSecond === 0) await saturate(all, measured, seconds)
  else await appendAtRate(all, measured, perSecond, seconds, () => undefined)
  const used = process.cpuUsage(cpu)
  const took = (performance.now() - warm) / 1000
  await stores.close()
  rmSync(path, { recursive: true, force: true })
  if (delivered !== latencies.length)
    throw new Error(`${latencies.length} entries were appended, but ${delivered} delivered`)
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

/** The same load without a log, to measure the benchmark's own CPU. */
export async function benchDriver(perSecond: number, sessions: number, seconds: number): Promise<LogBenchResult> {
  const all = makeSessions(sessions)
  let appends = 0
  const cpu = process.cpuUsage()
  const append = async (session: BenchSession): Promise<void> => {
    JSON.stringify({ type: 'run.output', run: session.id, index: appends++, kind: 'text', text: ' token' })
    await Promise.resolve()
  }
  await appendAtRate(all, append, perSecond, seconds, () => undefined)
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

async function saturate(
  all: BenchSession[],
  append: (session: BenchSession) => Promise<void>,
  seconds: number,
): Promise<void> {
  const end = performance.now() + seconds * 1000
  await Promise.all(
    all.map(async (session) => {
      while (performance.now() < end) await append(session)
    }),
  )
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
