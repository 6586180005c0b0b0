// ChaosSchedule: which faults happen when, from a seed and nothing else. Pure. Every fault heals by itself before the
// schedule is over; no target has two at once; one node at least always lives, and of three NATS servers two do.
import { seeded } from '../strict-client.ts'

/**
 * Of nodes: `kill` (-9), `stop` (SIGTERM), `stall` (SIGSTOP, then SIGCONT). Of the network between a node and NATS: `cut`,
 * `silence`, `slow`; between clients and a node the same as `door.…`. Of NATS: a server is killed or stopped, or the one
 * that leads the stream is killed.
 */
export const FAULT_KINDS = [
  'kill',
  'stop',
  'stall',
  'cut',
  'silence',
  'slow',
  'door.cut',
  'door.silence',
  'door.slow',
  'nats.kill',
  'nats.stop',
  'nats.leader',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  /** Milliseconds from the beginning. */
  readonly at: number
  readonly kind: FaultKind
  /** Which node, or which NATS server, from 0; of `nats.leader` it is known only when it happens. */
  readonly target: number
  /** Milliseconds until it heals: until a process that died is started again, above all. */
  readonly ms: number
}

export interface ChaosPlan {
  readonly seconds: number
  readonly nodes: number
  readonly natsServers: number
  /** Milliseconds from one fault to the next, on average. */
  readonly everyMs: number
  /** Milliseconds of a `stall`. */
  readonly stallMs?: number
}

/** Milliseconds that a fault may last, and for which its target is left alone afterwards. */
const LENGTHS: Readonly<Record<Exclude<FaultKind, 'stall'>, readonly [least: number, most: number]>> = {
  kill: [100, 4_000],
  stop: [100, 2_000],
  cut: [300, 6_000],
  silence: [1_000, 8_000],
  slow: [2_000, 8_000],
  'door.cut': [200, 3_000],
  'door.silence': [1_000, 6_000],
  'door.slow': [2_000, 8_000],
  'nats.kill': [200, 2_500],
  'nats.stop': [200, 2_500],
  'nats.leader': [200, 2_500],
}
const REST_MS = { node: 3_000, link: 1_000, door: 1_000, nats: 5_000 } as const
type Lane = keyof typeof REST_MS

/** In the order of their beginnings. The same seed and plan give the same schedule, always. */
export function chaosSchedule(seed: number, plan: ChaosPlan): readonly Fault[] {
  const random = seeded(seed)
  const total = plan.seconds * 1_000
  const faults: Fault[] = []
  const kinds = FAULT_KINDS.filter((kind) => kind !== 'nats.leader' || plan.natsServers > 1)
  // Dealt like cards, so that a schedule of some length has every kind.
  let deck: FaultKind[] = []
  for (let at = plan.everyMs * random(); at < total; at += plan.everyMs * (0.4 + 1.2 * random())) {
    if (deck.length === 0) deck = shuffled(kinds, random)
    const place = deck.findIndex((kind) => free(faults, at, kind, plan).length > 0)
    const kind = deck[place]
    if (kind === undefined) continue
    const targets = free(faults, at, kind, plan)
    const target = targets[Math.floor(random() * targets.length)] as number
    const ms = kind === 'stall' ? (plan.stallMs ?? 8_000) : between(random, ...LENGTHS[kind])
    // Too late for a long one: the card stays for the next turn.
    if (at + ms > total) continue
    deck.splice(place, 1)
    faults.push({ at: Math.round(at), kind, target, ms: Math.round(ms) })
  }
  return faults
}

/** One line, for people. */
export function describeFault({ at, kind, target, ms }: Fault): string {
  const where = kind === 'nats.leader' ? 'leader' : kind.startsWith('nats') ? `server ${target}` : `node ${target}`
  return `${(at / 1_000).toFixed(2).padStart(7)} s  ${kind.padEnd(12)} ${where}, ${(ms / 1_000).toFixed(2)} s`
}

export function laneOf(kind: FaultKind): Lane {
  if (kind === 'kill' || kind === 'stop' || kind === 'stall') return 'node'
  if (kind.startsWith('nats')) return 'nats'
  return kind.startsWith('door') ? 'door' : 'link'
}

function free(faults: readonly Fault[], at: number, kind: FaultKind, plan: ChaosPlan): number[] {
  const lane = laneOf(kind)
  const busy = faults.filter((fault) => laneOf(fault.kind) === lane && fault.at + fault.ms + REST_MS[lane] > at)
  // Servers of NATS take turns, so that a majority of three always stands.
  if (lane === 'nats') return busy.length > 0 ? [] : Array.from({ length: plan.natsServers }, (_, index) => index)
  if (lane === 'node' && busy.length >= Math.max(1, plan.nodes - 1)) return []
  const nodes = Array.from({ length: plan.nodes }, (_, index) => index)
  return nodes.filter((node) => busy.every(({ target }) => target !== node))
}

function shuffled<T>(from: readonly T[], random: () => number): T[] {
  const left = [...from]
  return from.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T)
}

function between(random: () => number, least: number, most: number): number {
  // Short ones more often than long ones.
  return least + (most - least) * random() ** 2
}
