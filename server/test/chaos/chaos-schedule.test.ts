// Schedules of faults over many seeds: what holds of every one of them.
import { describe, expect, it } from 'vitest'
import { type ChaosPlan, chaosSchedule, describeFault, FAULT_KINDS, laneOf } from './chaos-schedule.ts'

const LONG: ChaosPlan = { seconds: 600, nodes: 3, natsServers: 3, everyMs: 2_000 }
const SHORT: ChaosPlan = { seconds: 15, nodes: 3, natsServers: 1, everyMs: 600, stallMs: 4_000 }
const seeds = Array.from({ length: 100 }, (_, index) => index * 7_919)
const all = [LONG, SHORT].flatMap((plan) => seeds.map((seed) => ({ plan, faults: chaosSchedule(seed, plan) })))

describe('a schedule', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(chaosSchedule(1, LONG)).toEqual(chaosSchedule(1, LONG))
    expect(chaosSchedule(1, LONG)).not.toEqual(chaosSchedule(2, LONG))
  })

  it('is in order, and all of it has healed when it is over', () => {
    for (const { plan, faults } of all) {
      expect(faults.map(({ at }) => at)).toEqual(faults.map(({ at }) => at).sort((a, b) => a - b))
      for (const { at, ms } of faults) expect(at >= 0 && ms > 0 && at + ms <= plan.seconds * 1_000 + 1).toBe(true)
    }
  })

  it('names targets that exist, and never one that has not healed from the same kind of fault', () => {
    for (const { plan, faults } of all) {
      for (const [index, fault] of faults.entries()) {
        const lane = laneOf(fault.kind)
        expect(fault.target).toBeLessThan(lane === 'nats' ? plan.natsServers : plan.nodes)
        const before = faults.slice(0, index).filter((other) => laneOf(other.kind) === lane)
        const same = before.filter((other) => lane === 'nats' || other.target === fault.target)
        expect(same.every((other) => other.at + other.ms < fault.at)).toBe(true)
      }
    }
  })

  it('leaves one node alive at any moment', () => {
    for (const { plan, faults } of all) {
      const nodes = faults.filter(({ kind }) => laneOf(kind) === 'node')
      for (const { at } of nodes) {
        const away = new Set(nodes.filter((other) => other.at <= at && other.at + other.ms > at).map((f) => f.target))
        expect(away.size).toBeLessThan(plan.nodes)
      }
    }
  })

  it('has every kind of fault when it is long enough, and at the pace that was asked for', () => {
    for (const seed of seeds) {
      const faults = chaosSchedule(seed, LONG)
      expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS))
      expect(faults.length).toBeGreaterThan(200)
    }
  })

  it('knows no leader where there is one server', () => {
    expect(all.some(({ plan, faults }) => plan === SHORT && faults.some(({ kind }) => kind === 'nats.leader'))).toBe(
      false,
    )
  })

  it('reads as lines', () => {
    expect(describeFault({ at: 12_345, kind: 'stall', target: 2, ms: 8_000 })).toBe(
      '  12.35 s  stall        node 2, 8.00 s',
    )
    expect(describeFault({ at: 500, kind: 'nats.leader', target: 0, ms: 800 })).toBe(
      '   0.50 s  nats.leader  leader, 0.80 s',
    )
  })
})
