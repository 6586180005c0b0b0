// Runs one phase of the load test: a set of transports under one load. It starts the generators, samples the servers
// once a second, and collects all records.
import { availableParallelism } from 'node:os'
import { forkChild, stopChild } from './child.ts'
import type { TransportName } from './drivers/driver.ts'
import type { AskRecord, FromGenerator, GeneratorHealth, GeneratorJob, Progress } from './generator-message.ts'
import type { Target } from './target.ts'

/** What happened in one second of a phase. */
export interface Second {
  /** Seconds since the phase began. */
  readonly at: number
  readonly outputs: number
  readonly asked: number
  readonly ended: number
  readonly interruptions: number
  readonly faults: number
  readonly active: number
  /** CPU cores that the servers used in this second, and their resident memory. */
  readonly cores?: number
  readonly residentBytes?: number
}

export interface PhaseResult {
  readonly doors: readonly TransportName[]
  readonly users: number
  readonly seconds: readonly Second[]
  readonly records: readonly AskRecord[]
  readonly bytes: Readonly<Partial<Record<TransportName, number>>>
  readonly health: readonly GeneratorHealth[]
  /** CPU time of the servers over the whole phase. */
  readonly cpuMs: number | undefined
}

export type PhaseJob = Omit<GeneratorJob, 'part' | 'startAt'>

/** Time for the generators to start before the first user arrives. */
const AHEAD_MS = 700
/** A generator that takes this much longer than planned has failed. */
const GRACE_MS = 30_000

/** @throws Error if a generator dies */
export async function runPhase(
  job: PhaseJob,
  target: Target,
  onSecond: (second: Second) => void,
): Promise<PhaseResult> {
  const startAt = Date.now() + AHEAD_MS
  const before = await target.usage()
  const live = new Map<number, Progress>()
  const sums = { outputs: 0, asked: 0, ended: 0, interruptions: 0, faults: 0 }
  const generators = Array.from({ length: job.parts }, (_, part) =>
    generate({ ...job, part, startAt }, (progress) => {
      live.set(part, progress)
      for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += progress[key]
    }),
  )
  const seconds: Second[] = []
  let last = before
  let lastAt = performance.now()
  const sample = async () => {
    const usage = await target.usage()
    const at = performance.now()
    const active = [...live.values()].reduce((sum, progress) => sum + progress.active, 0)
    const used =
      usage === undefined || last === undefined
        ? {}
        : { cores: (usage.cpuMs - last.cpuMs) / (at - lastAt), residentBytes: usage.residentBytes }
    const second = { at: (Date.now() - startAt) / 1000, ...sums, active, ...used }
    for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] = 0
    last = usage
    lastAt = at
    seconds.push(second)
    onSecond(second)
  }
  const timer = setInterval(() => sample().catch(() => undefined), 1_000)
  try {
    const results = await Promise.all(generators)
    clearInterval(timer)
    await sample()
    const after = await target.usage()
    const bytes: Partial<Record<TransportName, number>> = {}
    for (const result of results) {
      for (const door of job.doors) bytes[door] = (bytes[door] ?? 0) + (result.bytes[door] ?? 0)
    }
    return {
      doors: job.doors,
      users: job.habits.users,
      seconds,
      records: results.flatMap(({ records }) => records),
      bytes,
      health: results.map(({ health }) => health),
      cpuMs: before === undefined || after === undefined ? undefined : after.cpuMs - before.cpuMs,
    }
  } finally {
    clearInterval(timer)
  }
}

/** Half of the cores: the servers need the other half. */
export function defaultGenerators(): number {
  return Math.max(2, Math.floor(availableParallelism() / 2))
}

async function generate(job: GeneratorJob, onProgress: (progress: Progress) => void) {
  const child = forkChild('generator.js')
  const records: AskRecord[] = []
  const { durationMs } = job.habits
  try {
    return await new Promise<{ records: AskRecord[] } & Omit<Extract<FromGenerator, { type: 'done' }>, 'type'>>(
      (resolve, reject) => {
        const late = () => reject(new Error('A generator did not finish in time.'))
        const timer = setTimeout(late, AHEAD_MS + durationMs + job.drainMs + GRACE_MS)
        child.on('message', (message: FromGenerator) => {
          if (message.type === 'progress') onProgress(message.progress)
          else if (message.type === 'records') records.push(...message.records)
          else {
            clearTimeout(timer)
            resolve({ records, bytes: message.bytes, health: message.health })
          }
        })
        child.once('exit', (code, signal) => {
          clearTimeout(timer)
          reject(new Error(`A generator exited early (${code ?? signal}).`))
        })
        child.send(job)
      },
    )
  } finally {
    await stopChild(child, 1_000)
  }
}
