// The report as text, for the terminal and the HTML page: a table with one row per transport, and sentences. Pure.
import type { Percentiles, TransportSummary } from '../tally.ts'
import type { Report } from './report.ts'

export interface Column {
  readonly title: string
  readonly meaning: string
  readonly of: (summary: TransportSummary) => string
}

export const COLUMNS: readonly Column[] = [
  { title: 'transport', meaning: 'how users connect', of: ({ door }) => door },
  { title: 'users', meaning: 'concurrent users', of: ({ users }) => String(users) },
  { title: 'asked', meaning: 'questions', of: ({ asked }) => String(asked) },
  {
    title: 'first token +ms',
    meaning: 'time to the first token, minus the time of the model: p50 / p95 / p99',
    of: ({ door, firstAdded }) => (door === 'request' ? 'with the answer' : formatPercentiles(firstAdded)),
  },
  {
    title: 'complete answer +ms',
    meaning: 'time to the complete answer, minus the time of the model: p50 / p95 / p99',
    of: ({ doneAdded }) => formatPercentiles(doneAdded),
  },
  {
    title: 'interrupted',
    meaning: 'answers that lost their connection at least once',
    of: ({ interrupted, asked }) => percent(interrupted, asked),
  },
  {
    title: 'reconnects',
    meaning: 'connections lost during answers',
    of: (one) => String(one.interruptions),
  },
  {
    title: 'resume gap ms',
    meaning: 'from losing the connection to resuming: p50 / p95 / p99',
    of: ({ resumeGap }) => formatPercentiles(resumeGap),
  },
  {
    title: 'gave up',
    meaning: 'questions that users cancelled because the answer was late',
    of: ({ abandoned, asked }) => percent(abandoned, asked),
  },
  {
    title: 'CPU ms/question',
    meaning: 'CPU time of all servers',
    of: ({ cpuMsPerAsk }) => (cpuMsPerAsk === undefined ? '–' : cpuMsPerAsk.toFixed(1)),
  },
  {
    title: 'kB/question',
    meaning: 'on the wire, both directions',
    of: ({ bytesPerAsk }) => (bytesPerAsk === 0 ? '–' : (bytesPerAsk / 1000).toFixed(1)),
  },
  {
    title: 'lost/rep./reord./wrong',
    meaning: 'faulty outputs',
    of: ({ faults }) => `${faults.lost}/${faults.repeated}/${faults.reordered}/${faults.wrong}`,
  },
  {
    title: 'no answer',
    meaning: 'questions that failed or were not answered in time',
    of: ({ failed, unfinished }) => String(failed + unfinished),
  },
]

export function table(report: Report): string {
  const rows = [COLUMNS.map(({ title }) => title), ...report.summaries.map((one) => COLUMNS.map(({ of }) => of(one)))]
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return [...rows.map(line), '', ...sentences(report)].join('\n')
}

/** Findings that do not fit into the table. The last one is the verdict. */
export function sentences(report: Report): string[] {
  const { memory, capacity, goal, plan, generators, proxy, summaries } = report
  const lines: string[] = []
  if (memory !== undefined) {
    const { idle, active, sessions } = memory
    lines.push(
      `Memory of ${sessions} sessions over WebSocket: ${kb(idle.middle)} kB per idle session (${kb(idle.low)} to ${kb(idle.high)}), ${kb(active)} kB more while all of them stream an answer.`,
    )
  }
  for (const one of capacity) {
    const cpu = `CPU at ${(goal.utilization * 100).toFixed(0)}% of a core`
    const why = {
      cpu,
      latency: 'the latency goal',
      missed: `${cpu} only, because even the fewest users missed the latency goal`,
    }[one.bound]
    const far = one.beyond > 1.5 ? `; an extrapolation to ${one.beyond.toFixed(1)} times the measured load` : ''
    const { from, to } = one.nodes
    const nodes = from === to ? `${from}` : `${from} to ${to}`
    lines.push(
      `${one.door}: one node serves ${one.users} such users (${one.low} to ${one.high}), limited by ${why}${far}; ${plan} users need ${nodes} node${to === 1 ? '' : 's'}.`,
    )
  }
  const missed = summaries.filter((one) => (added(one)?.p95 ?? Number.POSITIVE_INFINITY) > goal.addedMs)
  if (missed.length > 0) {
    const doors = [...new Set(missed.map(({ door, users }) => `${door} (${users} users)`))].join(', ')
    lines.push(`These missed the goal of ${goal.addedMs} ms (p95 added): ${doors}.`)
  }
  if (proxy !== undefined) {
    lines.push(
      `Network: ${proxy.connections} connections, ${proxy.cuts} cut, ${proxy.stalls} stalled, ${proxy.blackholes} black-holed.`,
    )
  }
  for (const complaint of generators.complaints) lines.push(`The load generator was a bottleneck: ${complaint}.`)
  const errors = summaries.flatMap(({ door, errors }) =>
    Object.entries(errors).map(([error, count]) => `${count} × ${error} (${door})`),
  )
  if (errors.length > 0) lines.push(`Failed questions: ${errors.join(', ')}.`)
  lines.push(
    report.faultless
      ? 'All answers are complete: nothing was lost, repeated, reordered or wrong.'
      : 'Some answers are NOT complete and correct.',
  )
  return lines
}

function added(summary: TransportSummary): Percentiles | undefined {
  return summary.door === 'request' ? summary.doneAdded : summary.firstAdded
}

function formatPercentiles(values: Percentiles | undefined): string {
  return values === undefined ? '–' : [values.p50, values.p95, values.p99].map(ms).join(' / ')
}

function ms(value: number): string {
  return Math.abs(value) < 10 ? value.toFixed(1) : value.toFixed(0)
}

function percent(count: number, of: number): string {
  return of === 0 ? '–' : `${((count / of) * 100).toFixed(1)}%`
}

function kb(bytes: number): string {
  return (bytes / 1000).toFixed(1)
}
