// Table: the report as text: what a team chooses by, for the terminal and for the page. Pure.
import type { DoorSummary, Spread } from '../tally.ts'
import type { Report } from './report.ts'

export interface Column {
  readonly title: string
  readonly meaning: string
  readonly of: (summary: DoorSummary) => string
}

export const COLUMNS: readonly Column[] = [
  { title: 'door', meaning: 'how users talk to the server', of: ({ door }) => door },
  { title: 'users', meaning: 'at once', of: ({ users }) => String(users) },
  { title: 'asked', meaning: 'questions', of: ({ asked }) => String(asked) },
  {
    title: 'first token +ms',
    meaning: 'until the first token, beyond what the model takes: p50 / p95 / p99',
    of: ({ door, firstAdded }) => (door === 'request' ? 'with the whole' : spread(firstAdded)),
  },
  {
    title: 'whole answer +ms',
    meaning: 'until the whole answer, beyond what the model takes: p50 / p95 / p99',
    of: ({ doneAdded }) => spread(doneAdded),
  },
  {
    title: 'interrupted',
    meaning: 'answers whose connection was lost at least once',
    of: ({ interrupted, asked }) => percent(interrupted, asked),
  },
  {
    title: 'reconnects',
    meaning: 'connections that were lost under an answer',
    of: (one) => String(one.interruptions),
  },
  {
    title: 'resume gap ms',
    meaning: 'from a loss to where reading went on: p50 / p95 / p99',
    of: ({ resumeGap }) => spread(resumeGap),
  },
  { title: 'gave up', meaning: 'users whose patience ended', of: ({ abandoned, asked }) => percent(abandoned, asked) },
  {
    title: 'CPU ms/question',
    meaning: 'of all servers together',
    of: ({ cpuMsPerAsk }) => (cpuMsPerAsk === undefined ? '–' : cpuMsPerAsk.toFixed(1)),
  },
  {
    title: 'kB/question',
    meaning: 'both ways, on the wire',
    of: ({ bytesPerAsk }) => (bytesPerAsk === 0 ? '–' : (bytesPerAsk / 1000).toFixed(1)),
  },
  {
    title: 'lost/rep./reord./wrong',
    meaning: 'outputs that did not come as they should have',
    of: ({ faults }) => `${faults.lost}/${faults.repeated}/${faults.reordered}/${faults.wrong}`,
  },
  {
    title: 'no answer',
    meaning: 'questions that failed, or were not answered to the end',
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

/** What the table has no column for. */
export function sentences(report: Report): string[] {
  const { memory, capacity, goal, plan, generators, proxy, summaries } = report
  const said: string[] = []
  if (memory !== undefined) {
    const { idle, active, sessions } = memory
    said.push(
      `Memory, of ${sessions} sessions over WebSocket: ${kb(idle.middle)} kB each when idle (${kb(idle.low)} to ${kb(idle.high)}), ${kb(active)} kB more while all are answered.`,
    )
  }
  for (const one of capacity) {
    const cpu = `CPU at ${(goal.utilization * 100).toFixed(0)}% of a core`
    const why = {
      cpu,
      latency: 'the latency goal',
      missed: `${cpu} alone, as the goal was missed already by the fewest users`,
    }[one.bound]
    const far = one.beyond > 1.5 ? `; ${one.beyond.toFixed(1)} times what was measured` : ''
    const { from, to } = one.nodes
    const nodes = from === to ? `${from}` : `${from} to ${to}`
    said.push(
      `${one.door}: a node holds ${one.users} such users (${one.low} to ${one.high}), bound by ${why}${far}; ${plan} users need ${nodes} node${to === 1 ? '' : 's'}.`,
    )
  }
  const missed = summaries.filter((one) => (added(one)?.p95 ?? Number.POSITIVE_INFINITY) > goal.addedMs)
  if (missed.length > 0) {
    const doors = [...new Set(missed.map(({ door, users }) => `${door} (${users} users)`))].join(', ')
    said.push(`The goal of ${goal.addedMs} ms (p95 added) was missed by: ${doors}.`)
  }
  if (proxy !== undefined) {
    said.push(
      `The network: ${proxy.connections} connections, ${proxy.cuts} cut, ${proxy.stalls} stalled, ${proxy.blackholes} swallowed.`,
    )
  }
  for (const complaint of generators.complaints) said.push(`The generator itself was a bottleneck: ${complaint}.`)
  const errors = summaries.flatMap(({ door, errors }) =>
    Object.entries(errors).map(([error, count]) => `${count} × ${error} (${door})`),
  )
  if (errors.length > 0) said.push(`Questions without an answer: ${errors.join(', ')}.`)
  said.push(
    report.faultless
      ? 'Every answer came whole: nothing lost, repeated, reordered or wrong.'
      : 'NOT every answer came as it should have.',
  )
  return said
}

function added(summary: DoorSummary): Spread | undefined {
  return summary.door === 'request' ? summary.doneAdded : summary.firstAdded
}

function spread(values: Spread | undefined): string {
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
