// Capacity: how many users of one transport a node can serve. Two limits are computed, and the lower one applies: CPU,
// from the cost of one user; and latency, from the largest load that met the goal. Pure.
import type { TransportName } from './drivers/driver.ts'
import { meanOf, quantile, sorted } from './quantile.ts'
import type { Random } from './random.ts'

/** A phase with one number of users. */
export interface Step {
  readonly users: number
  readonly nodes: number
  /** CPU cores of the servers, for each second with all users. */
  readonly cores: readonly number[]
  /** p95 of the time added to the model's own, in ms; undefined without answers. */
  readonly addedMs: number | undefined
}

export interface Goal {
  readonly addedMs: number
  /** Share of a core. Above it, queueing delays grow faster than the load. */
  readonly utilization: number
}

export interface Capacity {
  readonly door: TransportName
  /** Users per node: the estimate, and the range of 90% of the bootstrap resamplings. */
  readonly users: number
  readonly low: number
  readonly high: number
  /**
   * `cpu`: computed from the cost of a user. `latency`: a larger step missed the goal. `missed`: even the smallest step
   * missed it, so the figure considers CPU only.
   */
  readonly bound: 'cpu' | 'latency' | 'missed'
  /** The estimate divided by the largest measured step; above 1 it is an extrapolation. */
  readonly beyond: number
  readonly coresPerThousand: number
}

const RESAMPLINGS = 400

/** @returns undefined without CPU figures */
export function capacityOf(
  door: TransportName,
  steps: readonly Step[],
  goal: Goal,
  random: Random,
): Capacity | undefined {
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

/** The number of nodes for so many users, from the high and from the low end of the range. */
export function nodesFor(users: number, { low, high }: Capacity): { readonly from: number; readonly to: number } {
  return { from: Math.ceil(users / Math.max(1, high)), to: Math.ceil(users / Math.max(1, low)) }
}

/** The range from the largest step that met the goal to the next one, which missed it; undefined if none missed it. */
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
