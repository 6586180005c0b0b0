// The schedule of faults for a seed. Pure. Each fault heals before the schedule ends; a target has at most one fault
// of a scope at a time; at least one node always runs, and so do two of three NATS servers.
import { seeded } from '../strict-client.ts'

/**
 * Nodes: `kill` (SIGKILL), `stop` (SIGTERM), `stall` (SIGSTOP, then SIGCONT). The network between a node and NATS:
 * `cut`, `silence`, `slow`; between clients and a node: `client.…`. NATS: a server is killed or stopped, or the leader
 * of the stream is killed.
 */
export const FAULT_KINDS = [
  'kill',
  'stop',
  'stall',
  'cut',
  'silence',
  'slow',
  'client.cut',
  'client.silence',
  'client.slow',
  'nats.kill',
  'nats.stop',
  'nats.leader',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  /** Milliseconds from the start. */
  readonly at: number
  readonly kind: FaultKind
  /** The index of the node or NATS server. Ignored for `nats.leader`, whose target is known only when it happens. */
  readonly target: number
  /** Milliseconds until it heals, for example until a killed process is started again. */
  readonly ms: number
}

export interface ChaosPlan {
  readonly seconds: number
  readonly nodes: number
  readonly natsServers: number
  /** Milliseconds between faults, on average. */
  readonly everyMs: number
  /** Milliseconds of a `stall`. */
  readonly stallMs?: number
}

/** The shortest and the longest duration of a fault, in milliseconds. */
const DURATIONS: Readonly<Record<Exclude<FaultKind, 'stall'>, readonly [least: number, most: number]>> = {
  kill: [100, 4_000],
  stop: [100, 2_000],
  cut: [300, 6_000],
  silence: [1_000, 8_000],
  slow: [2_000, 8_000],
  'client.cut': [200, 3_000],
  'client.silence': [1_000, 6_000],
  'client.slow': [2_000, 8_000],
  'nats.kill': [200, 2_500],
  'nats.stop': [200, 2_500],
  'nats.leader': [200, 2_500],
}
/** Milliseconds without another fault for a target after a fault has healed. */
const RECOVERY_MS = { node: 3_000, 'nats network': 1_000, 'client network': 1_000, nats: 5_000 } as const
type FaultScope = keyof typeof RECOVERY_MS

/** In order of time. The same seed and plan always give the same schedule. */
export function chaosSchedule(seed: number, plan: ChaosPlan): readonly Fault[] {
  const random = seeded(seed)
  const total = plan.seconds * 1_000
  const faults: Fault[] = []
  const kinds = FAULT_KINDS.filter((kind) => kind !== 'nats.leader' || plan.natsServers > 1)
  // Draws all kinds before it repeats one, so that a long schedule has every kind.
  let undrawn: FaultKind[] = []
  for (let at = plan.everyMs * random(); at < total; at += plan.everyMs * (0.4 + 1.2 * random())) {
    if (undrawn.length === 0) undrawn = shuffled(kinds, random)
    const place = undrawn.findIndex((kind) => freeTargets(faults, at, kind, plan).length > 0)
    const kind = undrawn[place]
    if (kind === undefined) continue
    const targets = freeTargets(faults, at, kind, plan)
    const target = targets[Math.floor(random() * targets.length)] as number
    const ms = kind === 'stall' ? (plan.stallMs ?? 8_000) : between(random, ...DURATIONS[kind])
    // It would not heal in time: the kind is tried again later.
    if (at + ms > total) continue
    undrawn.splice(place, 1)
    faults.push({ at: Math.round(at), kind, target, ms: Math.round(ms) })
  }
  return faults
}

/** One readable line. */
export function describeFault({ at, kind, target, ms }: Fault): string {
  const where = kind === 'nats.leader' ? 'leader' : kind.startsWith('nats') ? `server ${target}` : `node ${target}`
  return `${(at / 1_000).toFixed(2).padStart(7)} s  ${kind.padEnd(14)} ${where}, ${(ms / 1_000).toFixed(2)} s`
}

export function scopeOf(kind: FaultKind): FaultScope {
  if (kind === 'kill' || kind === 'stop' || kind === 'stall') return 'node'
  if (kind.startsWith('nats')) return 'nats'
  return kind.startsWith('client') ? 'client network' : 'nats network'
}

function freeTargets(faults: readonly Fault[], at: number, kind: FaultKind, plan: ChaosPlan): number[] {
  const scope = scopeOf(kind)
  const busy = faults.filter((fault) => scopeOf(fault.kind) === scope && fault.at + fault.ms + RECOVERY_MS[scope] > at)
  // One NATS server at a time, so that two of three always run.
  if (scope === 'nats') return busy.length > 0 ? [] : Array.from({ length: plan.natsServers }, (_, index) => index)
  if (scope === 'node' && busy.length >= Math.max(1, plan.nodes - 1)) return []
  const nodes = Array.from({ length: plan.nodes }, (_, index) => index)
  return nodes.filter((node) => busy.every(({ target }) => target !== node))
}

function shuffled<T>(from: readonly T[], random: () => number): T[] {
  const remaining = [...from]
  return from.map(() => remaining.splice(Math.floor(random() * remaining.length), 1)[0] as T)
}

/** Short durations are more frequent than long ones. */
function between(random: () => number, least: number, most: number): number {
  return least + (most - least) * random() ** 2
}
