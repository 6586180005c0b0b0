// Report: the results of one load test, in the format of report.json.
import { type Capacity, capacityOf, type Goal, nodesFor, type Step } from '../capacity.ts'
import type { TransportName } from '../drivers/driver.ts'
import type { GeneratorHealth } from '../generator-message.ts'
import type { MemoryCost } from '../memory-probe.ts'
import type { PhaseResult, Second } from '../phase.ts'
import type { ProxyCounts } from '../proxy/impairing-proxy.ts'
import type { Impairments } from '../proxy/impairments.ts'
import { randomOf } from '../random.ts'
import { isFaultless, type TransportSummary, tally } from '../tally.ts'

export interface Report {
  readonly startedAt: string
  readonly command: string
  readonly machine: string
  readonly nodes: number
  readonly impairments: Impairments
  readonly proxy: ProxyCounts | undefined
  readonly together: boolean
  /** One for each transport and number of users, in the order of the phases. */
  readonly summaries: readonly TransportSummary[]
  /** The seconds of all phases, one after the other. */
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
  readonly phases: readonly PhaseResult[]
  readonly memory: MemoryCost | undefined
  readonly goal: Goal
  readonly plan: number
  readonly seed: number
  /** From the arrival of the last user to the last question, in ms. */
  readonly steady: { readonly from: number; readonly to: number }
}

/** Above these values the results reflect the generator, not the server. */
const LATENESS_MS = 20
const LOOP_DELAY_MS = 50
const CPU = 0.85

export function makeReport(source: ReportSource): Report {
  const { phases, together, steady, goal, plan, nodes } = source
  const summaries = phases.flatMap((phase) =>
    phase.doors.map((door) => {
      const records = phase.records.filter((record) => record.door === door)
      const cpuMs = together ? undefined : phase.cpuMs
      const users = Math.round(phase.users / phase.doors.length)
      return tally(door, users, records, { cpuMs, bytes: phase.bytes[door] ?? 0 })
    }),
  )
  const doors = [...new Set(summaries.map(({ door }) => door))]
  const capacity = together
    ? []
    : doors.flatMap((door) => {
        const steps = stepsOf(door, phases, summaries, nodes, steady)
        const found = capacityOf(door, steps, goal, randomOf(source.seed, 'capacity', door))
        return found === undefined ? [] : [{ ...found, nodes: nodesFor(plan, found) }]
      })
  const { startedAt, command, machine, impairments, proxy, memory } = source
  const seconds = inOneRow(phases)
  const generators = assessGenerators(phases)
  const faultless = summaries.every(isFaultless) && summaries.some(({ asked }) => asked > 0)
  const given = { startedAt, command, machine, nodes, impairments, proxy, together, memory, goal, plan }
  return { ...given, summaries, seconds, capacity, generators, faultless }
}

function stepsOf(
  door: TransportName,
  phases: readonly PhaseResult[],
  summaries: readonly TransportSummary[],
  nodes: number,
  steady: ReportSource['steady'],
): Step[] {
  return phases.flatMap((phase) => {
    const summary = summaries.find((one) => one.door === door && one.users === phase.users)
    if (!phase.doors.includes(door) || summary === undefined) return []
    const inside = phase.seconds.filter(({ at }) => at * 1000 > steady.from + 1_000 && at * 1000 <= steady.to)
    const cores = inside.flatMap((second) => second.cores ?? [])
    // Request–response has no first token: the answer arrives at once.
    const added = door === 'request' ? summary.doneAdded : summary.firstAdded
    return [{ users: phase.users, nodes, cores, addedMs: added?.p95 }]
  })
}

function inOneRow(phases: readonly PhaseResult[]): Report['seconds'] {
  let offset = 0
  return phases.flatMap(({ doors, users, seconds }) => {
    const begin = offset
    offset += Math.ceil(seconds.at(-1)?.at ?? 0) + 1
    const stretch = `${doors.join('+')}, ${users}`
    return seconds.map((second) => ({ ...second, at: begin + second.at, stretch }))
  })
}

function assessGenerators(phases: readonly PhaseResult[]): Report['generators'] {
  const all = phases.flatMap(({ health }) => health)
  const most = (of: (health: GeneratorHealth) => number) => Math.max(0, ...all.map(of))
  const health = {
    loopDelay: most(({ loopDelay }) => loopDelay),
    lateness: most(({ lateness }) => lateness),
    cpu: most(({ cpu }) => cpu),
  }
  const complaints = [
    health.lateness > LATENESS_MS && `questions were sent late (p99 ${health.lateness.toFixed(0)} ms)`,
    health.loopDelay > LOOP_DELAY_MS && `its event loop was delayed (p99 ${health.loopDelay.toFixed(0)} ms)`,
    health.cpu > CPU && `a process used ${(health.cpu * 100).toFixed(0)}% of a core`,
  ].filter((complaint) => complaint !== false)
  return { health, complaints }
}
