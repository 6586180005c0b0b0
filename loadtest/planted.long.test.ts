// A proxy damages one output in ten thousand, at a random position: the verifier detects it every time, over every kind
// of transport. Takes some minutes; PARLEY_TEST_RUNS sets the number of runs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomOf } from './random.ts'
import { startTarget, type Target } from './target.ts'
import { PLANTED_TRANSPORTS, PLANTS, plantAndLook } from './test/planted.ts'

const RUNS = Number(process.env.PARLEY_TEST_RUNS ?? 3)
const SEED = Number(process.env.PARLEY_TEST_SEED ?? Date.now() % 1_000_000)
/** Time limit of one run on a busy machine, in ms. */
const RUN_MS = 60_000

let target: Target
beforeAll(async () => {
  target = await startTarget(1)
})
afterAll(() => target.stop())

describe.each(PLANTED_TRANSPORTS)(`over %s (seed ${SEED})`, (door) => {
  it.each(PLANTS)(
    'detects one damaged output in ten thousand (%s) at any position',
    async (plant) => {
      const random = randomOf(SEED, door, plant)
      for (let run = 0; run < RUNS; run += 1) {
        const place = 1 + Math.floor(random() * 10_000)
        const found = await plantAndLook(target.urls[0] ?? '', door, plant, place, 1_000, 20)
        expect(found, `output ${place}, run ${run + 1} of ${RUNS}`).toMatchObject({ faulty: 1, planted: 1 })
      }
    },
    RUNS * RUN_MS,
  )
})
