// Report: everything that a run of the load test found, as it stands in report.json.
import { type Capacity, capacityOf, type Goal, nodesFor, type Step } from '../capacity.ts'
import type { DoorName } from '../drivers/driver.ts'
import type { MemoryCost } from '../memory-probe.ts'
import type { ProxyCounts } from '../proxy/impairing-proxy.ts'
import type { Impairments } from '../proxy/impairments.ts'
import { meanOf } from '../quantile.ts'
import { randomOf } from '../random.ts'
import type { GeneratorHealth } from '../record.ts'
import type { Second, StretchResult } from '../stretch.ts'
import { type DoorSummary, isFaultless, tally } from '../tally.ts'

export interface Report {
  readonly startedAt: string
  readonly command: string
  readonly machine: string
  readonly nodes: number
  readonly impairments: Impairments
  readonly proxy: ProxyCounts | undefined
  readonly together: boolean
  /** One for each door and number of users, in the order in which they were driven. */
  readonly summaries: readonly DoorSummary[]
  /** All seconds, one stretch after the other. */
  readonly seconds: readonly (Second & { readonly stretch: string })[]
  readonly memory: MemoryCost | undefined
  readonly goal: Goal
  readonly plan: number
  readonly capacity: readonly (Capacity & { readonly nodes: { readonly from: number; readonly to: number } })[]
  readonly generators: { readonly health: GeneratorHealth; readonly complaints: readonly string[] }
  readonly faultless: boolean
}

export interface ReportSource
  extends Pick<Report, 'startedAt' | 'command' | 'machine' | 'nodes' | 'impairments' | 'proxy'> {
  readonly together: boolean
  readonly stretches: readonly StretchResult[]
  readonly memory: MemoryCost | undefined
  readonly goal: Goal
  readonly plan: number
  readonly seed: number
  /** When all users were there, and when the last question was asked; ms. */
  readonly steady: { readonly from: number; readonly to: number }
}

/** Beyond these a generator is what was measured, and not the server. */
const LATENESS_MS = 20
const LOOP_DELAY_MS = 50
const CPU = 0.85

export function makeReport(source: ReportSource): Report {
  const { stretches, together, steady, goal, plan, nodes } = source
  const summaries = stretches.flatMap((stretch) =>
    stretch.doors.map((door) => {
      const records = stretch.records.filter((record) => record.door === door)
      const cpuMs = together ? undefined : stretch.cpuMs
      const users = Math.round(stretch.users / stretch.doors.length)
      return tally(door, users, records, { cpuMs, bytes: stretch.bytes[door] ?? 0 })
    }),
  )
  const doors = [...new Set(summaries.map(({ door }) => door))]
  const capacity = together
    ? []
    : doors.flatMap((door) => {
        const steps = stepsOf(door, stretches, summaries, nodes, steady)
        const found = capacityOf(door, steps, goal, randomOf(source.seed, 'capacity', door))
        return found === undefined ? [] : [{ ...found, nodes: nodesFor(plan, found) }]
      })
  const { startedAt, command, machine, impairments, proxy, memory } = source
  const seconds = inOneRow(stretches)
  const generators = judge(stretches)
  const faultless = summaries.every(isFaultless) && summaries.some(({ asked }) => asked > 0)
  const given = { startedAt, command, machine, nodes, impairments, proxy, together, memory, goal, plan }
  return { ...given, summaries, seconds, capacity, generators, faultless }
}

function stepsOf(
  door: DoorName,
  stretches: readonly StretchResult[],
  summaries: readonly DoorSummary[],
  nodes: number,
  steady: ReportSource['steady'],
): Step[] {
  return stretches.flatMap((stretch) => {
    const summary = summaries.find((one) => one.door === door && one.users === stretch.users)
    if (!stretch.doors.includes(door) || summary === undefined) return []
    const inside = stretch.seconds.filter(({ at }) => at * 1000 > steady.from + 1_000 && at * 1000 <= steady.to)
    const cores = inside.flatMap((second) => second.cores ?? []).map((core) => core / nodes)
    // Request–response shows nothing before the whole.
    const added = door === 'request' ? summary.doneAdded : summary.firstAdded
    return [{ users: stretch.users, nodes, cores: cores.map((core) => core * nodes), addedMs: added?.p95 }]
  })
}

function inOneRow(stretches: readonly StretchResult[]): Report['seconds'] {
  let offset = 0
  return stretches.flatMap(({ doors, users, seconds }) => {
    const begin = offset
    offset += Math.ceil(seconds.at(-1)?.at ?? 0) + 1
    const stretch = `${doors.join('+')}, ${users}`
    return seconds.map((second) => ({ ...second, at: begin + second.at, stretch }))
  })
}

function judge(stretches: readonly StretchResult[]): Report['generators'] {
  const all = stretches.flatMap(({ health }) => health)
  const most = (of: (health: GeneratorHealth) => number) => Math.max(0, ...all.map(of))
  const health = {
    loopDelay: most(({ loopDelay }) => loopDelay),
    lateness: most(({ lateness }) => lateness),
    cpu: most(({ cpu }) => cpu),
  }
  const complaints = [
    health.lateness > LATENESS_MS && `questions went out late (p99 ${health.lateness.toFixed(0)} ms)`,
    health.loopDelay > LOOP_DELAY_MS && `its event loop was held up (p99 ${health.loopDelay.toFixed(0)} ms)`,
    health.cpu > CPU && `a process used ${(health.cpu * 100).toFixed(0)}% of a core`,
  ].filter((complaint) => complaint !== false)
  return { health, complaints }
}

/** Mean of what the servers used, over the seconds of a stretch. */
export function meanCores(seconds: readonly Second[]): number | undefined {
  return meanOf(seconds.flatMap(({ cores }) => cores ?? []))
}
