// A proxy drops, repeats or swaps one output: the verifier detects it over every kind of transport, and reports no
// other fault. planted.long.test.ts does the same with one output in ten thousand.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTarget, type Target } from './target.ts'
import { PLANTED_TRANSPORTS, PLANTS, plantAndLook } from './test/planted.ts'

let target: Target
beforeAll(async () => {
  target = await startTarget(1)
})
afterAll(() => target.stop())

describe.concurrent.each(PLANTED_TRANSPORTS)('over %s', (door) => {
  it.concurrent.each(PLANTS)('detects one damaged output (%s)', async (plant) => {
    const found = await plantAndLook(target.urls[0] ?? '', door, plant, 60, 100, 1)
    expect(found).toMatchObject({ faulty: 1, planted: 1 })
  })
})
