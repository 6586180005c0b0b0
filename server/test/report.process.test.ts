// npm run report with a real Prometheus and a real node: it reports the planted differences, and ignores earlier runs.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { Prometheus } from './prometheus.ts'
import { METRICS } from './scrape.ts'

const REPORT = fileURLToPath(new URL('../dist/metric/report/main.js', import.meta.url))
const RUNS = 40
const TOTAL = 'sum(parley_runs_total)'

let node: ServerProcess
let prometheus: Prometheus
/** Variant → the id of a client in it. */
const ids = new Map<string, string>()
let from: string

beforeAll(async () => {
  node = await ServerProcess.start({ ...METRICS, PARLEY_EXPERIMENT: 'x: a=1:auto, b=1:sse' })
  for (let i = 0; ids.size < 2; i += 1) ids.set(await variantOf(`cli_${i}`), `cli_${i}`)
  // Before the reported time.
  await ask('a', RUNS, '/demo count=2 rate=0 fail=1')
  prometheus = await Prometheus.start(node.port)
  await prometheus.reaches(TOTAL, RUNS)
  from = new Date().toISOString()
  // Four seconds, as a busy machine may take one to answer eighty requests at once.
  await Promise.all([ask('a', RUNS, '/demo count=2 rate=0 ttft=0'), ask('b', RUNS, '/demo count=2 rate=0 ttft=4000')])
  await prometheus.reaches(TOTAL, 3 * RUNS)
})
afterAll(async () => {
  await prometheus.dispose()
  await node.dispose()
})

async function variantOf(id: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${node.port}/v1/hello`, { headers: { 'Parley-Client': id } })
  const { experiment } = (await response.json()) as { readonly experiment: { readonly variant: string } }
  return experiment.variant
}

async function ask(variant: string, runs: number, content: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json', 'Parley-Client': ids.get(variant) ?? '' }
  const init = { method: 'POST', headers, body: JSON.stringify({ content }) }
  const session = (i: number) => `http://127.0.0.1:${node.port}/v1/sessions/${variant}-${i}/messages`
  const answers = await Promise.all(Array.from({ length: runs }, (_, i) => fetch(session(i), init)))
  await Promise.all(answers.map((answer) => answer.text()))
}

function report(...args: readonly string[]) {
  return promisify(execFile)(process.execPath, [REPORT, '--prometheus', prometheus.url, ...args])
}

it('finds the planted differences in a period, and says where the data are too few', async () => {
  const { stdout } = await report('--from', from, '--by', 'variant', 'a', 'b')
  expect(stdout).toMatch(/^first token, p50 .* 40 \/ 40 +higher$/m)
  expect(stdout).toMatch(/^completion, p50 .* 40 \/ 40 +higher$/m)
  expect(stdout).toMatch(/^first token, p95 +40 \/ 40 +too little data: each group needs 200$/m)
  expect(stdout).toMatch(/^failed +0\.0% +0\.0% .* 40 \/ 40 +no difference seen$/m)
  expect(stdout).toMatch(/^completed +100\.0% +100\.0% .* 40 \/ 40 +no difference seen$/m)
  expect(stdout).toMatch(/^reconnects per 100 runs +0\.0 +0\.0 .* no difference seen$/m)
})

it('counts all runs of a node that started in the period, also those before the first scrape', async () => {
  const { stdout } = await report('--from', '1h', '--by', 'variant', 'a', 'b')
  expect(stdout).toMatch(/^failed +50\.0% +0\.0% .* 80 \/ 40 +lower$/m)
})

it('lists the variants when asked for an unknown one', async () => {
  const args = ['--from', '1h', '--by', 'variant', 'a', 'c']
  await expect(report(...args)).rejects.toThrow('No run has the variant c. Existing values: a, b.')
})
