// Stretch: a part of the test in which certain doors are driven with one load: starts the generators, samples the
// servers once a second, and gathers all that was seen.
import { availableParallelism } from 'node:os'
import { forkChild, stopChild } from './child.ts'
import type { DoorName } from './drivers/driver.ts'
import type { FromGenerator, GeneratorJob } from './generator-message.ts'
import type { AskRecord, GeneratorHealth, Progress } from './record.ts'
import type { Subject } from './subject.ts'

/** One second of it. */
export interface Second {
  /** Since the beginning of the stretch. */
  readonly at: number
  readonly outputs: number
  readonly asked: number
  readonly ended: number
  readonly interruptions: number
  readonly faults: number
  readonly active: number
  /** Cores used by the servers in it, and their memory in bytes. */
  readonly cores?: number
  readonly residentBytes?: number
}

export interface StretchResult {
  readonly doors: readonly DoorName[]
  readonly users: number
  readonly seconds: readonly Second[]
  readonly records: readonly AskRecord[]
  readonly bytes: Readonly<Partial<Record<DoorName, number>>>
  readonly health: readonly GeneratorHealth[]
  /** Of the servers, over the stretch. */
  readonly cpuMs: number | undefined
}

export type StretchJob = Omit<GeneratorJob, 'part' | 'startAt'>

/** Time for the generators to come up before the first user arrives. */
const AHEAD_MS = 700
/** What a generator may take beyond the time that it was given. */
const GRACE_MS = 30_000

/** @throws Error when a generator dies */
export async function driveStretch(
  job: StretchJob,
  subject: Subject,
  tell: (second: Second) => void,
): Promise<StretchResult> {
  const startAt = Date.now() + AHEAD_MS
  const before = await subject.usage()
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
    const usage = await subject.usage()
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
    tell(second)
  }
  const timer = setInterval(() => sample().catch(() => undefined), 1_000)
  try {
    const results = await Promise.all(generators)
    clearInterval(timer)
    await sample()
    const after = await subject.usage()
    const bytes: Partial<Record<DoorName, number>> = {}
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

/** Half of the cores, so that the servers have the other half. */
export function defaultGenerators(): number {
  return Math.max(2, Math.floor(availableParallelism() / 2))
}

async function generate(job: GeneratorJob, tell: (progress: Progress) => void) {
  const child = forkChild('generator.js')
  const records: AskRecord[] = []
  const { durationMs } = job.habits
  try {
    return await new Promise<{ records: AskRecord[] } & Omit<Extract<FromGenerator, { type: 'done' }>, 'type'>>(
      (resolve, reject) => {
        const late = () => reject(new Error('A generator did not come to its end.'))
        const timer = setTimeout(late, AHEAD_MS + durationMs + job.drainMs + GRACE_MS)
        child.on('message', (message: FromGenerator) => {
          if (message.type === 'progress') tell(message.progress)
          else if (message.type === 'records') records.push(...message.records)
          else {
            clearTimeout(timer)
            resolve({ records, bytes: message.bytes, health: message.health })
          }
        })
        child.once('exit', (code, signal) => {
          clearTimeout(timer)
          reject(new Error(`A generator ended too soon (${code ?? signal}).`))
        })
        child.send(job)
      },
    )
  } finally {
    await stopChild(child, 1_000)
  }
}
