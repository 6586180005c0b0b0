// Assignments are stable, follow the weights, and change as little as possible when a weight changes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Experiment } from './experiment.ts'
import type { ExperimentPlan } from './experiment-plan.ts'

type Weights = Readonly<Record<string, number>>

function plan(weights: Weights, name = 'x'): ExperimentPlan {
  return { name, variants: Object.entries(weights).map(([variant, weight]) => ({ name: variant, weight })) }
}

function variantOf(weights: Weights, user: string, name?: string): string | undefined {
  return new Experiment(plan(weights, name), true).assign(user, undefined)?.variant
}

const USERS = Array.from({ length: 20_000 }, (_, i) => `user-${i}`)

function shares(weights: Weights): Readonly<Record<string, number>> {
  const experiment = new Experiment(plan(weights), true)
  const counts: Record<string, number> = {}
  for (const user of USERS) {
    const variant = experiment.assign(user, undefined)?.variant ?? 'none'
    counts[variant] = (counts[variant] ?? 0) + 1
  }
  return Object.fromEntries(Object.entries(counts).map(([variant, count]) => [variant, count / USERS.length]))
}

const Weights = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 2 }).chain((names) =>
  fc
    .array(fc.nat(1_000), { minLength: names.length, maxLength: names.length })
    .filter((weights) => weights.some((weight) => weight > 0))
    .map((weights): Weights => Object.fromEntries(names.map((name, i) => [name, weights[i] ?? 0]))),
)

describe('an assignment', () => {
  it('never changes between releases', () => {
    const variants = ['ann', 'bob', 'cid', 'dora', 'eve', 'ümit', ''].map((user) =>
      variantOf({ a: 1, b: 1 }, user, 'pinned'),
    )
    expect(variants).toEqual(['b', 'a', 'a', 'b', 'b', 'b', 'a'])
  })

  it('names the experiment, the variant and the preferred transports', () => {
    const doors = ['poll', 'sse'] as const
    const variants = [
      { name: 'a', weight: 0 },
      { name: 'b', weight: 1, doors },
    ]
    const experiment = new Experiment({ name: 'x', variants }, true)
    expect(experiment.assign('ann', 'cli_1')).toEqual({ name: 'x', variant: 'b', doors: ['poll', 'sse'] })
    expect(experiment.variants).toEqual(['a', 'b'])
  })

  it('depends on the user, or without authentication on the id of the client, if it has one', () => {
    const weights = { a: 1, b: 1 }
    const [byUser, byClient] = [true, false].map((by) => new Experiment(plan(weights), by))
    for (const client of [undefined, 'cli_1', 'cli_2', 'cli_3']) {
      expect(byUser?.assign('ann', client)?.variant).toBe(variantOf(weights, 'ann'))
      expect(byClient?.assign('anonymous', client)?.variant).toBe(client && variantOf(weights, client))
    }
  })

  it('gives each variant its share of the users', () => {
    // Four standard errors of the largest share are 0.014.
    const found = shares({ a: 50, b: 30, c: 19, d: 1, e: 0 })
    expect(found.e).toBeUndefined()
    for (const [name, share] of Object.entries({ a: 0.5, b: 0.3, c: 0.19, d: 0.01 })) {
      expect(Math.abs((found[name] ?? 0) - share)).toBeLessThan(0.015)
    }
  })

  it('is independent between experiments', () => {
    const weights = { a: 1, b: 1 }
    const [first, second] = ['x', 'y'].map((name) => new Experiment(plan(weights, name), true))
    const same = USERS.filter((user) => first?.assign(user, '')?.variant === second?.assign(user, '')?.variant)
    expect(Math.abs(same.length / USERS.length - 0.5)).toBeLessThan(0.015)
  })

  it('does not depend on the order of variants or the scale of weights', () => {
    fc.assert(
      fc.property(Weights, fc.string(), fc.integer({ min: 1, max: 1_000 }), (weights, user, factor) => {
        const other = Object.fromEntries(
          Object.entries(weights)
            .map(([name, weight]) => [name, weight * factor])
            .reverse(),
        )
        expect(variantOf(other, user)).toBe(variantOf(weights, user))
      }),
    )
  })

  it('never selects a variant without weight', () => {
    fc.assert(fc.property(Weights, fc.string(), (weights, user) => (weights[variantOf(weights, user) ?? ''] ?? 0) > 0))
  })

  it('changes only towards a variant whose weight grows, or away from one whose weight shrinks', () => {
    fc.assert(
      fc.property(Weights, fc.string(), fc.nat(2_000), (weights, user, weight) => {
        const [changed = ''] = Object.keys(weights)
        const later = { ...weights, [changed]: weight }
        fc.pre(Object.values(later).some((any) => any > 0))
        const [before, after] = [variantOf(weights, user), variantOf(later, user)]
        if (before === after) return
        expect(weight > (weights[changed] ?? 0) ? after : before).toBe(changed)
      }),
      { numRuns: 1_000 },
    )
  })
})
