// Properties of the schedules of many seeds.
import { describe, expect, it } from 'vitest'
import { type ChaosPlan, chaosSchedule, describeFault, FAULT_KINDS, scopeOf } from './chaos-schedule.ts'

const LONG: ChaosPlan = { seconds: 600, nodes: 3, natsServers: 3, everyMs: 2_000 }
const SHORT: ChaosPlan = { seconds: 15, nodes: 3, natsServers: 1, everyMs: 600, stallMs: 4_000 }
const seeds = Array.from({ length: 100 }, (_, index) => index * 7_919)
const all = [LONG, SHORT].flatMap((plan) => seeds.map((seed) => ({ plan, faults: chaosSchedule(seed, plan) })))

describe('a schedule', () => {
  it('depends only on its seed', () => {
    expect(chaosSchedule(1, LONG)).toEqual(chaosSchedule(1, LONG))
    expect(chaosSchedule(1, LONG)).not.toEqual(chaosSchedule(2, LONG))
  })

  it('is in order of time, and each fault heals before the end', () => {
    for (const { plan, faults } of all) {
      expect(faults.map(({ at }) => at)).toEqual(faults.map(({ at }) => at).sort((a, b) => a - b))
      for (const { at, ms } of faults) expect(at >= 0 && ms > 0 && at + ms <= plan.seconds * 1_000 + 1).toBe(true)
    }
  })

  it('names only existing targets that have healed from faults of the same scope', () => {
    for (const { plan, faults } of all) {
      for (const [index, fault] of faults.entries()) {
        const scope = scopeOf(fault.kind)
        expect(fault.target).toBeLessThan(scope === 'nats' ? plan.natsServers : plan.nodes)
        const before = faults.slice(0, index).filter((other) => scopeOf(other.kind) === scope)
        const same = before.filter((other) => scope === 'nats' || other.target === fault.target)
        expect(same.every((other) => other.at + other.ms < fault.at)).toBe(true)
      }
    }
  })

  it('leaves at least one node running at any time', () => {
    for (const { plan, faults } of all) {
      const nodes = faults.filter(({ kind }) => scopeOf(kind) === 'node')
      for (const { at } of nodes) {
        const down = new Set(nodes.filter((other) => other.at <= at && other.at + other.ms > at).map((f) => f.target))
        expect(down.size).toBeLessThan(plan.nodes)
      }
    }
  })

  it('has every kind of fault if it is long enough, at the planned rate', () => {
    for (const seed of seeds) {
      const faults = chaosSchedule(seed, LONG)
      expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS))
      expect(faults.length).toBeGreaterThan(200)
    }
  })

  it('has no faults of a leader with a single NATS server', () => {
    expect(all.some(({ plan, faults }) => plan === SHORT && faults.some(({ kind }) => kind === 'nats.leader'))).toBe(
      false,
    )
  })

  it('prints one aligned line for each fault', () => {
    expect(describeFault({ at: 12_345, kind: 'stall', target: 2, ms: 8_000 })).toBe(
      '  12.35 s  stall          node 2, 8.00 s',
    )
    expect(describeFault({ at: 500, kind: 'nats.leader', target: 0, ms: 800 })).toBe(
      '   0.50 s  nats.leader    leader, 0.80 s',
    )
  })
})
