// The dashboard and the alerts in deploy/, and the guide's table of metrics: they name only metrics that a node has,
// and the table has all of them.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { PROMTOOL, requireProgram } from '../../scripts/programs.mjs'
import { Metrics } from '../metric/metrics.ts'
import { RelayMetrics } from '../metric/relay-metrics.ts'

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const dashboard = readFileSync(file('deploy/grafana-dashboard.json'), 'utf8')
const alerts = readFileSync(file('deploy/alerts.yaml'), 'utf8')
const guide = readFileSync(file('docs/guides/observability.md'), 'utf8')

const metrics = new Metrics({ node: 'n', models: ['demo'], active: () => 0 })
metrics.transports.watch(metrics.registry, () => ({
  webSockets: 0,
  requests: 0,
  streams: 0,
  unsentBytes: 0,
  followed: 0,
}))
const own = await metrics.registry.getMetricsAsJSON()
const labels = new Set(
  own.flatMap((metric) => (metric as unknown as { readonly labelNames?: readonly string[] }).labelNames ?? []),
)
const ours = own.map(({ name }) => name).filter((name) => /^(parley|gen_ai|http_server)_/.test(name))
const samples = new Set(
  own.flatMap(({ name, type }) =>
    String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
)
/** Labels whose names look like metrics. */
const LABELS = ['gen_ai_request_model', 'gen_ai_token_type', 'gen_ai_operation_name', 'gen_ai_provider_name']

function named(text: string): string[] {
  const all = text.match(/\b(?:parley|gen_ai|http_server|nodejs|process)_[a-z0-9_]+/g) ?? []
  return [...new Set(all)].filter((name) => !LABELS.includes(name) && !labels.has(name))
}

interface Panel {
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string }[]
}

it('the dashboard shows existing metrics, without overlapping panels', () => {
  const { panels } = JSON.parse(dashboard) as { readonly panels: readonly Panel[] }
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  expect(expressions.length).toBeGreaterThan(40)
  expect(named(expressions.join('\n')).filter((name) => !samples.has(name))).toEqual([])
  const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
  )
  expect(new Set(places).size).toBe(places.length)
})

it('the alerts use existing metrics, and Prometheus accepts them', () => {
  const promtool = requireProgram(PROMTOOL)
  const expressions = alerts.replace(/^\s*(#|description:|summary:).*$/gm, '')
  expect(named(expressions).length).toBeGreaterThan(8)
  expect(named(expressions).filter((name) => !samples.has(name))).toEqual([])
  const { status, stdout, stderr } = spawnSync(promtool, ['check', 'rules', file('deploy/alerts.yaml')], {
    encoding: 'utf8',
  })
  expect(`${status} ${stdout}${stderr}`).toMatch(/^0 .*SUCCESS/s)
})

it('the queries of the dashboard are valid PromQL', () => {
  const promtool = requireProgram(PROMTOOL)
  const { panels } = JSON.parse(dashboard) as { readonly panels: readonly Panel[] }
  const rules = panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }, index) => ({ record: `panel:${index}`, expr: expr.replaceAll('$__rate_interval', '5m') }))
  const folder = mkdtempSync(join(tmpdir(), 'parley-dashboard-'))
  const path = join(folder, 'rules.yaml')
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  const { status, stderr } = spawnSync(promtool, ['check', 'rules', path], { encoding: 'utf8' })
  rmSync(folder, { recursive: true, force: true })
  expect(`${status} ${stderr}`).toBe('0 ')
})

it('the guide explains exactly the metrics that exist', () => {
  const relay = new RelayMetrics('n', () => ({ streams: 0, bytes: 0 })).registry.getMetricsAsArray()
  const ofRelays = relay.map(({ name }) => name).filter((name) => name.startsWith('parley_'))
  const explained = [...guide.matchAll(/^\| `((?:parley|gen_ai|http_server)_\w+)` \|/gm)].map(([, name]) => name ?? '')
  expect([...explained].sort()).toEqual([...ours, ...ofRelays].sort())
})
