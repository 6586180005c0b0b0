// npm run report: compares two groups of runs, from saved texts of /metrics or from Prometheus, and prints a table.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compare, METRICS, RUNS } from './comparison.ts'
import { countedIn, secondsOf, valuesIn } from './prometheus.ts'
import { between, parseScrape, type Sample } from './scrape.ts'
import { table } from './table.ts'

const USAGE = `npm run report -- --after FILE[,FILE…] [--before FILE[,FILE…]] [--by LABEL] A B
npm run report -- --prometheus URL --from TIME [--to TIME] [--by LABEL] A B

  Compares the runs whose LABEL (variant, gen_ai_request_model, door) is A with those whose LABEL is B.
  The default, door, is the transport.
  Each FILE is the text of /metrics of one node. Without --before, the counts since the start of each node are used.
  A TIME is a time such as 2026-11-23T08:00Z, or an age such as 90m, 6h, 7d. --to is now by default.
  PROMETHEUS_TOKEN is the bearer token for Prometheus, if it needs one. Its URL may contain a user and a password.
`

try {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      before: { type: 'string' },
      after: { type: 'string' },
      prometheus: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string', default: 'now' },
      by: { type: 'string', default: 'door' },
    },
  })
  const [a, b] = positionals
  const isOne = (options.after === undefined) !== (options.prometheus === undefined)
  if (!isOne || a === undefined || b === undefined || positionals.length > 2) throw new Error(USAGE)
  const groups = { label: options.by, a, b }
  const samples =
    options.after === undefined
      ? await fromPrometheus(options.prometheus ?? '', options.from, options.to, groups)
      : known(between(read(options.before), read(options.after)), groups)
  process.stdout.write(table(compare(samples, groups), a, b))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`)
  process.exitCode = 1
}

type Groups = Parameters<typeof compare>[1]

function read(files = ''): readonly Sample[] {
  return files
    .split(',')
    .filter((file) => file !== '')
    .flatMap((file) => parseScrape(readFileSync(file, 'utf8')))
}

async function fromPrometheus(url: string, from: string | undefined, to: string, groups: Groups) {
  if (!URL.canParse(url) || from === undefined) throw new Error(USAGE)
  const now = Date.now() / 1000
  const span = { from: secondsOf(from, now), to: secondsOf(to, now) }
  if (span.from >= span.to) throw new Error('--from must be before --to')
  const { label, a, b } = groups
  const options = { url, token: process.env.PROMETHEUS_TOKEN }
  mustBeAmong(await valuesIn(options, span, RUNS, label), groups)
  return countedIn(options, span, { metrics: METRICS, label, values: [a, b] })
}

function known(samples: readonly Sample[], groups: Groups): readonly Sample[] {
  const runs = samples.filter(({ name }) => name === RUNS)
  mustBeAmong(new Set(runs.map(({ labels }) => labels[groups.label] ?? '')), groups)
  return samples
}

/** A misspelt name would look like too little data. */
function mustBeAmong(values: ReadonlySet<string>, { label, a, b }: Groups): void {
  const missing = [a, b].filter((value) => !values.has(value))
  if (missing.length === 0) return
  const there = [...values].map((value) => (value === '' ? 'none' : value)).sort()
  const others = there.length === 0 ? 'There are no runs.' : `Existing values: ${there.join(', ')}.`
  throw new Error(`No run has the ${label} ${missing.join(' or ')}. ${others}`)
}
