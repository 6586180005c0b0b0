// Planted faults, one in ten thousand outputs, at any place among them: found every time, through every family of doors. Some
// minutes; with PARLEY_TEST_RUNS as often as wanted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomOf } from './random.ts'
import { type Subject, startSubject } from './subject.ts'
import { PLANTED_DOORS, PLANTS, plantAndLook } from './test/planted.ts'

const RUNS = Number(process.env.PARLEY_TEST_RUNS ?? 3)
const SEED = Number(process.env.PARLEY_TEST_SEED ?? Date.now() % 1_000_000)
/** Milliseconds that one run may take on a busy machine. */
const RUN_MS = 60_000

let subject: Subject
beforeAll(async () => {
  subject = await startSubject(1)
})
afterAll(() => subject.stop())

describe.each(PLANTED_DOORS)(`through %s (seed ${SEED})`, (door) => {
  it.each(PLANTS)(
    'one output in ten thousand that is damaged (%s) is found, wherever it stands',
    async (plant) => {
      const random = randomOf(SEED, door, plant)
      for (let run = 0; run < RUNS; run += 1) {
        const place = 1 + Math.floor(random() * 10_000)
        const found = await plantAndLook(subject.urls[0] ?? '', door, plant, place, 1_000, 20)
        expect(found, `output ${place}, run ${run + 1} of ${RUNS}`).toMatchObject({ faulty: 1, planted: 1 })
      }
    },
    RUNS * RUN_MS,
  )
})
