// Chaos for minutes: rounds of faults over the same cluster, with 300 sessions each, whose histories are checked. It
// prints its seed and what happened. PARLEY_TEST_SEED repeats a test; PARLEY_TEST_SECONDS (600) and
// PARLEY_TEST_SESSIONS (300) change its size.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ParleyCluster } from '../../../bench/cluster/parley-cluster.ts'
import { TEST_SEED } from '../strict-client.ts'
import { CHAOS_ENV, chaosRound, explain } from './chaos.ts'
import { chaosSchedule } from './chaos-schedule.ts'

const SECONDS = Number(process.env.PARLEY_TEST_SECONDS ?? 600)
const SESSIONS = Number(process.env.PARLEY_TEST_SESSIONS ?? 300)
/** Seconds of faults in a round: its histories must fit into memory. */
const ROUND_S = 90
/** Milliseconds after a round until all runs must have ended and all readers must have caught up. */
const QUIET_MS = 120_000
const ROUNDS = Math.max(1, Math.round(SECONDS / (ROUND_S + 30)))

let cluster: ParleyCluster
beforeAll(async () => {
  cluster = await ParleyCluster.start({ nodes: 3, nats: 3, proxied: true, env: CHAOS_ENV })
}, 60_000)
afterAll(async () => {
  await cluster.dispose()
})

const print = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

describe(`chaos, ${ROUNDS} rounds, seed ${TEST_SEED}`, () => {
  it.each(Array.from({ length: ROUNDS }, (_, round) => round))(
    'keeps every promise in round %i',
    async (round) => {
      const seed = TEST_SEED + round
      const seconds = Math.min(ROUND_S, SECONDS)
      const faults = chaosSchedule(seed, { seconds, nodes: 3, natsServers: 3, everyMs: 2_000 })
      print(`round ${round}: seed ${seed}, ${faults.length} faults, ${SESSIONS} sessions`)
      const report = await chaosRound({
        cluster,
        name: `round_${round}`,
        seed,
        faults,
        seconds,
        sessions: SESSIONS,
        paceMs: 10_000,
        lengths: 'long',
        quietMs: QUIET_MS,
      })
      print(explain(report, seed, faults))
      expect(report.found).toEqual([])
      // No log was lost, so no reader was reset.
      expect(report.counts.resets ?? 0).toBe(0)
      expect(report.counts['ok send']).toBeGreaterThan(SESSIONS)
    },
    (ROUND_S + 300) * 1_000 + QUIET_MS,
  )
})
