// Prices come from the setting itself or from the file that it names. An invalid price table aborts the start.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../config/config.ts'
import { openMetrics } from './open-metrics.ts'

const TABLE = '{"models": {"demo": {"input": 1, "output": 2}}}'
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-prices-'))
  writeFileSync(join(folder, 'prices.json'), TABLE)
  writeFileSync(join(folder, 'parley.config.json'), `{"prices": ${TABLE}}`)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function opened(env: Readonly<Record<string, string>>, from = tmpdir()) {
  const readable = { PARLEY_METRICS_TOKEN: 'a-secret-of-16-chars' }
  return openMetrics(await loadConfig({ ...readable, ...env }, from), ['demo'], () => 0)
}

/** The cost of a run with a million input and output tokens. */
async function cost(env: Readonly<Record<string, string>>, from?: string): Promise<number | undefined> {
  const metrics = await opened(env, from)
  const usage = { inputTokens: 1e6, outputTokens: 1e6 }
  metrics?.runs.ended({ asked: {}, model: 'demo', reason: 'completed', error: undefined, seconds: 1, usage, unseen: 0 })
  const text = (await metrics?.text()) ?? ''
  const sum = /^parley_run_cost_sum\{.*\} (\S+)$/m.exec(text)?.[1]
  return sum === undefined ? undefined : Number(sum)
}

it('reads the price table from the variable, from a file that it names, or from the configuration file', async () => {
  expect(await cost({ PARLEY_PRICES: TABLE })).toBe(3)
  expect(await cost({ PARLEY_PRICES: join(folder, 'prices.json') })).toBe(3)
  expect(await cost({}, folder)).toBe(3)
  expect(await cost({})).toBeUndefined()
})

it.each(['{"models": 7}', '{"models": {"demo": {"input": -1, "output": 0}}}', '{nonsense', 'no-such-file.json'])(
  'refuses %s, with an error that names the setting',
  async (prices) => {
    await expect(opened({ PARLEY_PRICES: prices })).rejects.toThrow(/PARLEY_PRICES/)
  },
)

it.each([
  [
    { PARLEY_METRICS: 'local' },
    'PARLEY_METRICS must be off or on; instead of local, set PARLEY_METRICS_LISTEN=127.0.0.1:9464',
  ],
  [{ PARLEY_METRICS: 'on' }, 'PARLEY_METRICS=on needs PARLEY_METRICS_LISTEN or PARLEY_METRICS_TOKEN'],
  [{ PARLEY_METRICS_LISTEN: '9464' }, 'PARLEY_METRICS_LISTEN must be an address and a port'],
  [{ PARLEY_METRICS_LISTEN: '127.0.0.1:65536' }, 'PARLEY_METRICS_LISTEN must be an address and a port'],
])('refuses %o', async (env, message) => {
  await expect(loadConfig(env as Readonly<Record<string, string>>, tmpdir())).rejects.toThrow(message)
})

it('has no metrics if they are off or nobody can read them, and refuses a short token', async () => {
  expect(await opened({ PARLEY_METRICS: 'off' })).toBeUndefined()
  expect(openMetrics(await loadConfig({}, tmpdir()), ['demo'], () => 0)).toBeUndefined()
  await expect(opened({ PARLEY_METRICS_TOKEN: 'short' })).rejects.toThrow(/PARLEY_METRICS_TOKEN must be 16/)
})
