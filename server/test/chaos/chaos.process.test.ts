// Short chaos for every test run: three nodes, three NATS servers, every kind of fault. `npm run test:chaos` runs the
// long test. PARLEY_TEST_SEED repeats a schedule.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ParleyCluster } from '../../../bench/cluster/parley-cluster.ts'
import { TEST_SEED } from '../strict-client.ts'
import { CHAOS_ENV, chaosRound, explain } from './chaos.ts'
import { chaosSchedule } from './chaos-schedule.ts'

const SECONDS = 8
const SESSIONS = 24

let cluster: ParleyCluster
beforeAll(async () => {
  cluster = await ParleyCluster.start({
    nodes: 3,
    nats: 3,
    proxied: true,
    env: { ...CHAOS_ENV, PARLEY_ACK_WAIT_MS: '1500' },
  })
}, 60_000)
afterAll(async () => {
  await cluster.dispose()
})

describe('three nodes that are killed, stalled and disconnected', () => {
  it(`keep every promise to ${SESSIONS} sessions over ${SECONDS} s (seed ${TEST_SEED})`, async () => {
    const plan = { seconds: SECONDS, nodes: 3, natsServers: 3, everyMs: 700, stallMs: 3_000 }
    const faults = chaosSchedule(TEST_SEED, plan)
    const report = await chaosRound({
      cluster,
      name: 'short',
      seed: TEST_SEED,
      faults,
      seconds: SECONDS,
      sessions: SESSIONS,
      paceMs: 1_500,
      lengths: 'short',
      quietMs: 60_000,
    })
    expect(report.found, explain(report, TEST_SEED, faults)).toEqual([])
    // No log was lost, so no reader was reset.
    expect(report.counts.resets ?? 0).toBe(0)
    expect(report.counts['ok send']).toBeGreaterThan(SESSIONS)
  }, 160_000)
})
