// Capacity: how many users of one door a node holds, from what was measured. Two bounds, the lower of which counts:
// CPU, by what one user costs, with the spread of its seconds; and latency, by where the goal was last kept. Pure.
import type { DoorName } from './drivers/driver.ts'
import { meanOf, quantile, sorted } from './quantile.ts'
import type { Random } from './random.ts'

/** One stretch at one number of users. */
export interface Step {
  readonly users: number
  readonly nodes: number
  /** Cores that the servers used, for each second when all users were there. */
  readonly cores: readonly number[]
  /** p95 of what is added to the model's own time, ms; undefined: nothing came. */
  readonly addedMs: number | undefined
}

export interface Goal {
  readonly addedMs: number
  /** Of a node's busiest core: beyond it waiting grows faster than load. */
  readonly utilization: number
}

export interface Capacity {
  readonly door: DoorName
  /** Users a node holds: the middle, and between which bounds nine of ten resamplings lie. */
  readonly users: number
  readonly low: number
  readonly high: number
  /**
   * `cpu`: computed from the cost of a user; `latency`: the goal was missed in a step above; `missed`: it was missed in
   * the smallest step already, so that nothing but CPU can be counted.
   */
  readonly bound: 'cpu' | 'latency' | 'missed'
  /** How far beyond the largest step that was measured the middle lies; 1 or less: within. */
  readonly beyond: number
  readonly coresPerThousand: number
}

const RESAMPLINGS = 400

/** @returns undefined where CPU is not known */
export function capacityOf(door: DoorName, steps: readonly Step[], goal: Goal, random: Random): Capacity | undefined {
  const costs = steps.flatMap(({ users, cores }) => cores.map((core) => core / users))
  const cost = meanOf(costs)
  if (cost === undefined || cost <= 0) return undefined
  const means = sorted(Array.from({ length: RESAMPLINGS }, () => meanOf(resample(costs, random)) ?? cost))
  const held = (each: number) => Math.floor(goal.utilization / each)
  const byCpu = {
    users: held(cost),
    low: held(quantile(means, 0.95) ?? cost),
    high: held(quantile(means, 0.05) ?? cost),
  }
  const largest = Math.max(...steps.map(({ users, nodes }) => users / nodes))
  const kept = latencyBound(steps, goal)
  const bound = kept === 'missed' ? 'missed' : kept !== undefined && kept.high < byCpu.users ? 'latency' : 'cpu'
  const bounds = bound === 'latency' && typeof kept === 'object' ? kept : byCpu
  return { door, ...bounds, bound, beyond: bounds.users / largest, coresPerThousand: cost * 1000 }
}

/** How many nodes so many users need: as few as the high bound allows, as many as the low one asks for. */
export function nodesFor(users: number, { low, high }: Capacity): { readonly from: number; readonly to: number } {
  return { from: Math.ceil(users / Math.max(1, high)), to: Math.ceil(users / Math.max(1, low)) }
}

/** Between the largest step that kept the goal and the smallest above it that did not; undefined: none missed it. */
function latencyBound(
  steps: readonly Step[],
  goal: Goal,
): Pick<Capacity, 'users' | 'low' | 'high'> | 'missed' | undefined {
  const byUsers = [...steps].sort((a, b) => a.users / a.nodes - b.users / b.nodes)
  const missed = byUsers.findIndex(({ addedMs }) => addedMs === undefined || addedMs > goal.addedMs)
  const first = byUsers[missed]
  if (first === undefined) return undefined
  const before = byUsers[missed - 1]
  if (before === undefined) return 'missed'
  const [low, high] = [before.users / before.nodes, first.users / first.nodes]
  return { users: Math.floor((low + high) / 2), low: Math.floor(low), high: Math.floor(high) }
}

function resample(values: readonly number[], random: Random): number[] {
  return values.map(() => values[Math.floor(random() * values.length)] as number)
}
