// npm run report: compares two groups of runs from saved scrapes of /metrics. Reads files and prints; asks no server.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compare, type Row } from './comparison.ts'
import { between, parseScrape, type Sample } from './scrape.ts'

const USAGE = `npm run report -- --after FILE[,FILE…] [--before FILE[,FILE…]] [--by LABEL] A B

  Compares runs whose LABEL (door, gen_ai_request_model, variant; default door) is A with those where it is B.
  Each FILE is the text of /metrics of one node. Without --before all counts since the nodes' starts are taken.
`

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { before: { type: 'string' }, after: { type: 'string' }, by: { type: 'string', default: 'door' } },
  })
  const [a, b] = positionals
  if (values.after === undefined || a === undefined || b === undefined || positionals.length > 2) throw new Error(USAGE)
  const samples = between(read(values.before), read(values.after))
  process.stdout.write(table(compare(samples, { label: values.by, a, b }), a, b))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`)
  process.exitCode = 1
}

function read(files = ''): readonly Sample[] {
  return files
    .split(',')
    .filter((file) => file !== '')
    .flatMap((file) => parseScrape(readFileSync(file, 'utf8')))
}

function table(rows: readonly Row[], a: string, b: string): string {
  const lines = [
    ['', a, b, 'difference', 'interval', 'n', `${b} is`],
    ...rows.map(({ what, unit, counts, found, verdict }) => {
      const show = (value: number) => (unit === 'share' ? `${(value * 100).toFixed(1)}%` : `${value.toFixed(3)} s`)
      const { low, high, estimate } = found?.difference ?? { low: 0, high: 0, estimate: 0 }
      const figures =
        found === undefined
          ? ['', '', '', '']
          : [show(found.a), show(found.b), show(estimate), `${show(low)} … ${show(high)}`]
      return [what, ...figures, counts.join(' / '), verdict]
    }),
  ]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${text.join('\n')}\n\nIntervals hold together at 95%: each is wider than one alone would be.\n`
}
