// TransportChoice: which transport a client uses, why not a better one, and when it probes for a better one. Pure.
//
//   websocket ──blocked, unstable──► sse ──blocked, buffered, unstable──► long-poll
//       ▲ ▲                          │ ▲                                     │
//       │ └──── a probe succeeds ────┘ └───────── a probe succeeds ──────────┤
//       └─────────────────────── a probe succeeds ───────────────────────────┘
//
// A transport that does not open counts as blocked only if plain HTTP works. Otherwise the server is unreachable, and
// the order starts again at the transport that opened last (`home`). Errors from the server never change the transport.
// The server may only change the order of preference.
import { type Door, type DoorPolicy, STABLE_MS, TRANSPORTS } from '../transport/door.ts'
import type { LossKind } from '../transport/transport.ts'

/**
 * Why the client left a transport. `blocked`: it does not open although the server is reachable. `buffered`: an
 * intermediary delays the server's output. `unstable`: it breaks soon, repeatedly. `remembered`: it failed the last
 * time.
 */
export type MoveReason = 'blocked' | 'buffered' | 'unstable' | 'remembered'

/** Which transport a client uses, for people and programs. */
export interface TransportState {
  /** In use, or being opened. */
  readonly door: Door
  /** Why the client does not use the next better transport. */
  readonly why?: MoveReason
  /** How often the client has opened another transport than the time before. */
  readonly moves: number
}

/** Milliseconds after which a connection was good: the next probe comes early again. */
const GOOD_MS = 60_000
/** After this many early breaks in a row, a transport is unstable. */
const MAX_EARLY_BREAKS = 3
/** Delay of the first probe for a transport that was stable before, in milliseconds. */
const PROVEN_PROBE_MS = 2_000

/** Transports in order of preference; never empty. */
export type TransportOrder = readonly [Door, ...Door[]]

export interface TransportChoice {
  /** With only one transport, there is no choice. */
  readonly order: TransportOrder
  /** In use, or the next to try. */
  readonly current: Door
  /** Where a round starts while the server is unreachable. */
  readonly home: Door
  /** The transport that opened last. */
  readonly last: Door | undefined
  readonly moves: number
  /** Why the client left each transport. */
  readonly reasons: Partial<Readonly<Record<Door, MoveReason>>>
  /** Transports that were stable during this client's life. */
  readonly proven: readonly Door[]
  /** Consecutive early breaks of the current transport. */
  readonly earlyBreaks: number
  /** Rounds of probes since the last good connection. */
  readonly probes: number
  /**
   * A new order moved the client, which was not stable since. Prevents nodes that disagree from moving it repeatedly.
   */
  readonly reordered: boolean
}

export type ChoiceEvent =
  /** The server prefers this order. */
  | { readonly type: 'preferred'; readonly order: TransportOrder }
  /** The current transport has opened. */
  | { readonly type: 'opened' }
  /** The current transport has been open for STABLE_MS. */
  | { readonly type: 'stable' }
  /** @property openMs how long the transport delivered frames, in milliseconds */
  | { readonly type: 'lost'; readonly kind: LossKind; readonly openMs: number }
  /** A round of probes has ended: with a better transport that works, or without. */
  | { readonly type: 'probed'; readonly better?: Door }

/** @param remembered the transport that worked the last time */
export function newChoice(order: TransportOrder, remembered?: Door): TransportChoice {
  const current = remembered !== undefined && order.includes(remembered) ? remembered : order[0]
  const reasons: Partial<Record<Door, MoveReason>> = {}
  for (const better of order.slice(0, order.indexOf(current))) reasons[better] = 'remembered'
  const fresh = { last: undefined, moves: 0, proven: [], earlyBreaks: 0, probes: 0, reordered: false }
  return { ...fresh, order, current, home: current, reasons }
}

/**
 * @param names of transports from the server or a storage, best first; unknown names are ignored
 * @returns all transports: the named ones first, the others after them in the default order
 */
export function preferring(names: readonly string[] = []): TransportOrder {
  const known = names.flatMap((name) => TRANSPORTS.find((one) => one === (name === 'poll' ? 'long-poll' : name)) ?? [])
  const [first = TRANSPORTS[0], ...others] = new Set([...known, ...TRANSPORTS])
  return [first, ...others]
}

export function nextChoice(choice: TransportChoice, event: ChoiceEvent): TransportChoice {
  const { current, last, proven, earlyBreaks } = choice
  switch (event.type) {
    case 'preferred':
      return reorder(choice, event.order)
    case 'opened': {
      const moves = last === undefined || last === current ? choice.moves : choice.moves + 1
      return { ...choice, home: current, last: current, moves, reasons: reasonsAbove(choice) }
    }
    case 'stable': {
      const known = proven.includes(current) ? proven : [...proven, current]
      return { ...choice, earlyBreaks: 0, reordered: false, proven: known }
    }
    case 'lost': {
      const probes = event.openMs >= GOOD_MS ? 0 : choice.probes
      if (event.kind !== 'broken') return { ...choice, probes, ...afterLoss(choice, event.kind) }
      const breaks = event.openMs < STABLE_MS ? earlyBreaks + 1 : 0
      if (breaks >= MAX_EARLY_BREAKS) return { ...choice, probes, ...fallBack(choice, 'unstable') }
      return { ...choice, probes, earlyBreaks: breaks }
    }
    case 'probed': {
      const probes = choice.probes + 1
      if (event.better === undefined || rank(choice, event.better) >= rank(choice, current)) {
        return { ...choice, probes }
      }
      return { ...choice, probes, current: event.better, earlyBreaks: 0 }
    }
  }
}

export function transportOf(choice: TransportChoice): TransportState {
  const { current, order, reasons, moves } = choice
  const above = order[order.indexOf(current) - 1]
  const why = above === undefined ? undefined : reasons[above]
  return { door: current, moves, ...(why === undefined ? {} : { why }) }
}

/** The transports that are better than the current one, best first. */
export function betterTransports(choice: TransportChoice): readonly Door[] {
  return choice.order.slice(0, rank(choice, choice.current))
}

/** Milliseconds until the next probe; undefined if no transport is better. */
export function probeDelay(choice: TransportChoice, policy: DoorPolicy, random: number): number | undefined {
  const candidates = betterTransports(choice)
  if (candidates.length === 0) return undefined
  const isProven = candidates.some((one) => choice.proven.includes(one))
  const first = isProven ? Math.min(PROVEN_PROBE_MS, policy.probeMs) : policy.probeMs
  const limit = Math.min(policy.probeMaxMs, first * 2 ** Math.min(choice.probes, 30))
  // Half of it is random, so that the clients of one office do not all probe at once.
  return Math.ceil(limit * (0.5 + random / 2))
}

/** Moves to the best transport of the new order that did not fail. Nothing has used the current one yet. */
function reorder(choice: TransportChoice, order: TransportOrder): TransportChoice {
  const { current, reasons } = choice
  const isSame = choice.order.length < 2 || order.every((one, index) => one === choice.order[index])
  if (isSame || choice.reordered) return choice
  const best = order.find((one) => reasons[one] === undefined) ?? current
  return { ...choice, order, current: best, home: best, earlyBreaks: 0, reordered: best !== current }
}

function afterLoss(choice: TransportChoice, kind: Exclude<LossKind, 'broken'>): Partial<TransportChoice> {
  switch (kind) {
    case 'by-server':
      return {}
    case 'stalled':
      return fallBack(choice, 'buffered')
    case 'refused':
      return fallBack(choice, 'blocked')
    case 'unreachable':
      return { earlyBreaks: 0, ...afterFailedOpen(choice) }
  }
}

/** What to try next if a transport does not open: the transport may be blocked, or the server may be unreachable. */
function afterFailedOpen(choice: TransportChoice): Partial<TransportChoice> {
  const { order, current, home, reasons } = choice
  const [first] = order
  if (current !== 'websocket') {
    if (current !== home) return { current: home }
    // A WebSocket may work even if plain HTTP does not.
    return { current: first !== current ? first : (order.find((one) => one === 'websocket') ?? current) }
  }
  if (home === current || reasons[home] !== undefined) return fallBack(choice, 'blocked')
  // The client has seen the transports between this one and a lower `home` fail. With a higher one, the server may be
  // away.
  const isBelow = rank(choice, home) > rank(choice, current)
  return { current: home, ...(isBelow ? { reasons: { ...reasons, websocket: 'blocked' } } : {}) }
}

function fallBack(choice: TransportChoice, why: MoveReason): Partial<TransportChoice> {
  const { order, current, reasons } = choice
  // Long polling needs the least of the network. If it is last, the client stays there; otherwise the order starts
  // again.
  const next = order[order.indexOf(current) + 1] ?? (current === 'long-poll' ? undefined : order[0])
  return next === undefined
    ? { earlyBreaks: 0 }
    : { current: next, earlyBreaks: 0, reasons: { ...reasons, [current]: why } }
}

function rank(choice: TransportChoice, transport: Door): number {
  return choice.order.indexOf(transport)
}

/** The reasons against the transports above the open one. Without a known reason, plain HTTP did not work. */
function reasonsAbove({ order, current, reasons }: TransportChoice): TransportChoice['reasons'] {
  return Object.fromEntries(order.slice(0, order.indexOf(current)).map((one) => [one, reasons[one] ?? 'blocked']))
}
