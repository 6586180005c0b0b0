// Runs in the metrics: each is counted once, even if it is offered again or continued by another driver.
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Metrics } from '../metric/metrics.ts'
import { ModelFailure } from './model-call.ts'
import { EngineHarness } from './test/engine-harness.ts'

let metrics: Metrics
let h: EngineHarness
beforeEach(async () => {
  metrics = new Metrics({ node: 'n1', models: ['played'], active: () => 0 })
  h = await EngineHarness.start({ metrics: metrics.runs })
})
afterEach(() => h.dispose())

interface Value {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number | undefined>>
  readonly value: number
}

/** The value of a counter, or the count of a histogram, for each value of a label. */
async function counted(name: string, label: string): Promise<Readonly<Record<string, number>>> {
  const metric = await metrics.registry.getSingleMetric(name)?.get()
  const values = (metric?.values ?? []) as readonly Value[]
  const counts: Record<string, number> = {}
  for (const { metricName = name, labels, value } of values) {
    if (metricName !== name && metricName !== `${name}_count`) continue
    const key = String(labels[label] ?? '')
    counts[key] = (counts[key] ?? 0) + value
  }
  return counts
}

const outcomes = () => counted('parley_runs_total', 'outcome')

async function answered(session: string): Promise<void> {
  const call = await h.model.next()
  call.text('yes')
  call.finish()
  await h.event(session, 'run.ended', (event) => event.reason === 'completed')
}

it('counts superseded runs once each, before and after they start, although they are offered again', async () => {
  const first = await h.send('s', 'one')
  const call = await h.model.next()
  call.text('o')
  await h.event('s', 'run.output')
  const second = await h.send('s', 'two')
  await h.send('s', 'three', { policy: 'interrupt' })
  await answered('s')
  await expect.poll(outcomes).toEqual({ superseded: 2, completed: 1 })
  // The run that never started has no model and no usage.
  expect(await counted('parley_runs_total', 'gen_ai_request_model')).toEqual({ played: 2, '': 1 })
  expect(await counted('gen_ai_client_token_usage', 'gen_ai_token_type')).toEqual({ input: 2, output: 2 })

  for (const { run = '', message = '' } of [first, second]) {
    await h.stores.runs.offer({ session: 's', run, command: message })
  }
  await h.send('s', 'four')
  await answered('s')
  await expect.poll(outcomes).toEqual({ superseded: 2, completed: 2 })
})

it('counts a handed-over run at the driver that ends it', async () => {
  await h.send('s', 'hello')
  const call = await h.model.next()
  call.text('a')
  await h.event('s', 'run.output')
  await h.close()
  expect(await outcomes()).toEqual({})
  await h.open()
  await answered('s')
  await expect.poll(outcomes).toEqual({ completed: 1 })
  expect(await counted('parley_run_takeovers_total', 'mode')).toEqual({ restart: 1 })
  expect(await counted('parley_run_failover_pause_seconds', 'node')).toEqual({ '': 1 })
  expect(await counted('gen_ai_server_time_to_first_token_seconds', 'node')).toEqual({ '': 1 })
  expect(await counted('parley_run_queue_wait_seconds', 'node')).toEqual({ '': 1 })
})

it('counts failed runs by their error, with their failed model calls', async () => {
  h.model.failures.push(new ModelFailure('content_filtered'))
  await h.send('s', 'hello')
  await h.event('s', 'run.ended')
  await expect.poll(outcomes).toEqual({ failed: 1 })
  expect(await counted('gen_ai_server_request_duration_seconds', 'error_type')).toEqual({ content_filtered: 1 })
  expect(await counted('gen_ai_client_operation_duration_seconds', 'error_type')).toEqual({ content_filtered: 1 })
})

it('counts no pause if the lost driver waited for a device', async () => {
  await h.service.attach('s', { connection: 'conn_1', user: 'ada', role: 'owner' }, [{ name: 'look' }])
  await h.send('s', 'hello')
  const call = await h.model.next()
  call.tool('look', {})
  call.finish('tool-calls')
  const { call: id } = await h.event('s', 'tool.called')
  await h.close()
  // The same before and after the next driver starts.
  await h.open()
  const caller = { connection: 'conn_1', user: 'ada', role: 'owner' }
  await h.service.attach('s', caller, [{ name: 'look' }])
  await h.service.claim({ type: 'tool.claim', id: 'c1', session: 's', call: id }, caller)
  await h.service.result({ type: 'tool.result', id: 'r1', session: 's', call: id, output: 1 }, caller)
  await answered('s')
  await expect.poll(outcomes).toEqual({ completed: 1 })
  expect(await counted('parley_run_takeovers_total', 'mode')).not.toEqual({})
  expect(await counted('parley_run_failover_pause_seconds', 'node')).toEqual({})
})
