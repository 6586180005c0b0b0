// Planted faults: one output that is dropped, repeated or exchanged on its way is found, through every family of doors, and
// none is found where none was planted. With one in ten thousand: planted.long.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Subject, startSubject } from './subject.ts'
import { PLANTED_DOORS, PLANTS, plantAndLook } from './test/planted.ts'

let subject: Subject
beforeAll(async () => {
  subject = await startSubject(1)
})
afterAll(() => subject.stop())

describe.concurrent.each(PLANTED_DOORS)('through %s', (door) => {
  it.concurrent.each(PLANTS)('one output that a proxy plants a fault in (%s) is found', async (plant) => {
    const found = await plantAndLook(subject.urls[0] ?? '', door, plant, 60, 100, 1)
    expect(found).toMatchObject({ faulty: 1, planted: 1 })
  })
})
