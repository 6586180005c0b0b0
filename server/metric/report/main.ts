// npm run report: compares two groups of runs, from saved scrapes of /metrics or from a Prometheus. Prints, and changes nothing.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compare, METRICS, RUNS } from './comparison.ts'
import { countedIn, valuesIn } from './prometheus.ts'
import { between, parseScrape, type Sample } from './scrape.ts'
import { table } from './table.ts'
import { secondsOf } from './time.ts'

const USAGE = `npm run report -- --after FILE[,FILE…] [--before FILE[,FILE…]] [--by LABEL] A B
npm run report -- --prometheus URL --from TIME [--to TIME] [--by LABEL] A B

  Compares runs whose LABEL (door, gen_ai_request_model, variant; default door) is A with those where it is B.
  Each FILE is the text of /metrics of one node. Without --before all counts since the nodes' starts are taken.
  A TIME is a moment such as 2026-11-23T08:00Z, or as long ago as 90m, 6h, 7d. --to is now, where nothing else is said.
  PROMETHEUS_TOKEN is the bearer token of the Prometheus, where it wants one; its URL may have a user and a password.
`

try {
  const { values: asked, positionals } = parseArgs({
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
  const isOne = (asked.after === undefined) !== (asked.prometheus === undefined)
  if (!isOne || a === undefined || b === undefined || positionals.length > 2) throw new Error(USAGE)
  const groups = { label: asked.by, a, b }
  const samples =
    asked.after === undefined
      ? await fromPrometheus(asked.prometheus ?? '', asked.from, asked.to, groups)
      : known(between(read(asked.before), read(asked.after)), groups)
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
  if (span.from >= span.to) throw new Error('--from has to be before --to')
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

/** A name that is misspelt would look like too little data. */
function mustBeAmong(values: ReadonlySet<string>, { label, a, b }: Groups): void {
  const missing = [a, b].filter((value) => !values.has(value))
  if (missing.length === 0) return
  const there = [...values].map((value) => (value === '' ? 'none' : value)).sort()
  const others = there.length === 0 ? 'There are no runs at all.' : `There are runs of: ${there.join(', ')}.`
  throw new Error(`No run has the ${label} ${missing.join(' or ')}. ${others}`)
}
