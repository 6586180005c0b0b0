// Planted faults, one output in ten thousand: found every time, through every family of doors. A minute or two.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Subject, startSubject } from './subject.ts'
import { PLANTED_DOORS, PLANTS, plantAndLook } from './test/planted.ts'

let subject: Subject
beforeAll(async () => {
  subject = await startSubject(1)
})
afterAll(() => subject.stop())

describe.each(PLANTED_DOORS)('through %s', (door) => {
  it.each(PLANTS)('one output in ten thousand that is damaged (%s) is found', async (plant) => {
    const found = await plantAndLook(subject.urls[0] ?? '', door, plant, 10_000, 1_000, 20)
    expect(found).toMatchObject({ faulty: 1, planted: 1 })
  })
})
