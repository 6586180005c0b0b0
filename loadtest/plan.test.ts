// Distributions and plans have the requested shape, and depend only on their seed.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Habits, knownText, meantMs, planUser, question } from './plan.ts'
import { meanOf as mean } from './quantile.ts'
import { draw, meanOf, parseDistribution, randomOf } from './random.ts'

const HABITS: Habits = {
  seed: 7,
  users: 10,
  arrivalMs: 2_000,
  durationMs: 20_000,
  think: parseDistribution('exp:1000'),
  answer: parseDistribution('lognormal:60,0.5'),
  pace: parseDistribution('uniform:20,60'),
  ttft: parseDistribution('100'),
  patience: parseDistribution('5000'),
}

describe('a distribution', () => {
  it.each(['5', 'uniform:1,9', 'exp:4', 'lognormal:60,0.5'])('%s has its nominal mean', (text) => {
    const distribution = parseDistribution(text)
    const random = randomOf(1, text)
    const drawn = Array.from({ length: 20_000 }, () => draw(distribution, random))
    expect(mean(drawn)).toBeGreaterThan(meanOf(distribution) * 0.97)
    expect(mean(drawn)).toBeLessThan(meanOf(distribution) * 1.03)
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
  })

  it.each(['', 'uniform:9,1', 'uniform:3', 'exp:', 'normal:3,1', '-5', 'lognormal:1,2,3'])('rejects %j', (text) => {
    expect(() => parseDistribution(text)).toThrow(/is not a distribution/)
  })

  it('uses uniform random numbers from 0 to 1', () => {
    const random = randomOf(3)
    const tenths = Array.from({ length: 10 }, () => 0)
    for (let drawn = 0; drawn < 10_000; drawn += 1) {
      const tenth = Math.floor(random() * 10)
      tenths[tenth] = (tenths[tenth] ?? 0) + 1
    }
    expect(Math.min(...tenths)).toBeGreaterThan(880)
    expect(Math.max(...tenths)).toBeLessThan(1_120)
  })
})

describe('a plan', () => {
  it('depends only on the seed and the user', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1_000), (seed, user) => {
        const habits = { ...HABITS, seed }
        expect(planUser({ ...habits, users: user + 5 }, user)).toEqual(planUser(habits, user))
      }),
    )
  })

  it('differs between users', () => {
    expect(planUser(HABITS, 1)).not.toEqual({ ...planUser(HABITS, 2), user: 1 })
  })

  it('asks in order, within the duration, each question after the planned end of the answer before it', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const { arrivesAt, asks } = planUser({ ...HABITS, seed }, 3)
        expect(arrivesAt).toBeLessThanOrEqual(HABITS.arrivalMs)
        let free = arrivesAt
        for (const ask of asks) {
          expect(ask.at).toBeGreaterThanOrEqual(free)
          expect(ask.at).toBeLessThan(HABITS.durationMs)
          free = ask.at + meantMs(ask)
        }
      }),
    )
  })

  it('asks the demo model for an answer that is known in advance', () => {
    const [ask] = planUser(HABITS, 0).asks
    expect(question({ ...(ask as NonNullable<typeof ask>), tokens: 4, rate: 2.5, ttft: 30 }, 'demo')).toBe(
      '/demo count=4 rate=2.5 ttft=30',
    )
    expect(knownText(4)).toBe('0 1 2 3')
    expect(knownText(12)).toBe('0 1 2 3 4 5 6 7 8 9 10 11')
    expect(knownText(1)).toBe('0')
    expect(knownText(0)).toBe('')
  })
})
