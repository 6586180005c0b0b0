// TransportChoice: which transport a client uses, why not a better one, and when it probes for a better one. Pure.
//
//   websocket ──blocked, unstable──► sse ──blocked, buffered, unstable──► long-poll
//       ▲ ▲                          │ ▲                                     │
//       │ └──── a probe succeeds ────┘ └───────── a probe succeeds ──────────┤
//       └─────────────────────── a probe succeeds ───────────────────────────┘
//
// A WebSocket that fails or breaks says nothing about its transport while the server may be away. So the client asks over
// plain HTTP first, and opens the next WebSocket when the server answers:
//
//   none ──websocket fails or breaks──► asking ──the server answers──► answered ──websocket fails──► none, blocked
//     ▲                                 │    ▲                            │
//     └─ plain HTTP never worked, or ───┘    └──── no answer: ask again   └──websocket opens──► none
//        something else answers
//
// Asking keeps browsers fast, too: after failed WebSockets, Firefox delays the next ones, in all tabs, by up to 60 s.
// A failure that may have had another cause is `inconclusive`: the client falls back, but does not remember it. Errors
// from the server never change the transport. The server may only change the order of preference.
import { given } from '../given.ts'
import { type Door, type DoorPolicy, STABLE_MS, TRANSPORTS } from '../transport/door.ts'
import type { Loss } from '../transport/transport.ts'

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
/** Delay of the first probe for a transport that was stable before, or failed inconclusively, in milliseconds. */
const PROVEN_PROBE_MS = 2_000

/** Transports in order of preference; never empty. */
export type TransportOrder = readonly [Door, ...Door[]]

export interface TransportChoice {
  /** With only one transport, there is no choice. */
  readonly order: TransportOrder
  /** In use, or the one that the client wants to open. */
  readonly current: Door
  /** `asking`: plain HTTP must show that the server is up. `answered`: it has, just before this WebSocket. */
  readonly check: 'none' | 'asking' | 'answered'
  /** The last WebSocket neither opened nor failed in time, and nothing else has failed since. */
  readonly silent: boolean
  /** The server has answered over plain HTTP during this client's life. */
  readonly httpWorks: boolean
  /** What the client holds against a better transport may have had another cause. */
  readonly inconclusive: boolean
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
  /** The server has answered over plain HTTP. */
  | { readonly type: 'answered' }
  /** What `opening` named was lost. @property openMs how long it delivered frames, in milliseconds */
  | ({ readonly type: 'lost'; readonly openMs: number } & Pick<Loss, 'kind' | 'silent' | 'foreign'>)
  /** A round of probes has ended: with a better transport that works, or without. */
  | { readonly type: 'probed'; readonly better?: Door }

/** @param remembered the transport that worked the last time */
export function newChoice(order: TransportOrder, remembered?: Door): TransportChoice {
  const current = remembered !== undefined && order.includes(remembered) ? remembered : order[0]
  const reasons: Partial<Record<Door, MoveReason>> = {}
  for (const better of order.slice(0, order.indexOf(current))) reasons[better] = 'remembered'
  const fresh = { last: undefined, moves: 0, proven: [], earlyBreaks: 0, probes: 0, reordered: false }
  const unchecked = { check: 'none', silent: false, httpWorks: false, inconclusive: false } as const
  return { ...fresh, ...unchecked, order, current, home: current, reasons }
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
    case 'answered':
      return { ...choice, httpWorks: true, ...afterAnswer(choice) }
    case 'opened': {
      const moves = last === undefined || last === current ? choice.moves : choice.moves + 1
      const isHttp = current !== 'websocket'
      const checked = { check: 'none', silent: false, httpWorks: choice.httpWorks || isHttp } as const
      const inconclusive = choice.inconclusive && isHttp
      return { ...choice, ...checked, inconclusive, home: current, last: current, moves, reasons: reasonsAbove(choice) }
    }
    case 'stable': {
      const known = proven.includes(current) ? proven : [...proven, current]
      return { ...choice, earlyBreaks: 0, reordered: false, proven: known }
    }
    case 'lost': {
      if (choice.check === 'asking') return { ...choice, ...afterFailedCheck(choice, event) }
      const probes = event.openMs >= GOOD_MS ? 0 : choice.probes
      if (event.kind !== 'broken') return { ...choice, probes, ...afterLoss(choice, event) }
      const breaks = event.openMs < STABLE_MS ? earlyBreaks + 1 : 0
      if (breaks >= MAX_EARLY_BREAKS) return { ...choice, probes, ...fallBack(choice, 'unstable', true) }
      return { ...choice, probes, earlyBreaks: breaks, ...(mustAsk(choice) ? { check: 'asking' } : {}) }
    }
    case 'probed': {
      const probes = choice.probes + 1
      if (event.better === undefined || rank(choice, event.better) >= rank(choice, current)) {
        return { ...choice, probes, inconclusive: false }
      }
      return { ...choice, probes, current: event.better, earlyBreaks: 0 }
    }
  }
}

/** The transport to open next: the wanted one, or plain HTTP to ask whether the server is up. */
export function opening({ check, current, order }: TransportChoice): Door {
  return check === 'asking' ? (order.find((one) => one !== 'websocket') ?? current) : current
}

export function transportOf(choice: TransportChoice): TransportState {
  const { current, order, reasons, moves } = choice
  const above = order[order.indexOf(current) - 1]
  const why = above === undefined ? undefined : reasons[above]
  return { door: current, moves, ...given({ why }) }
}

/** The transports that are better than the current one, best first. */
export function betterTransports(choice: TransportChoice): readonly Door[] {
  return choice.order.slice(0, rank(choice, choice.current))
}

/** Milliseconds until the next probe; undefined if no transport is better. */
export function probeDelay(choice: TransportChoice, policy: DoorPolicy, random: number): number | undefined {
  const candidates = betterTransports(choice)
  if (candidates.length === 0) return undefined
  const isProven = choice.inconclusive || candidates.some((one) => choice.proven.includes(one))
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
  const check = best === current ? choice.check : 'none'
  return { ...choice, order, current: best, home: best, check, earlyBreaks: 0, reordered: best !== current }
}

function afterLoss(choice: TransportChoice, { kind, silent }: Pick<Loss, 'kind' | 'silent'>): Partial<TransportChoice> {
  switch (kind) {
    case 'stalled':
      return fallBack(choice, 'buffered')
    case 'refused':
      return fallBack(choice, 'blocked')
    case 'unreachable':
      return { earlyBreaks: 0, ...afterFailedOpen(choice, silent === true) }
    default:
      // The server itself has answered.
      return { check: 'none', httpWorks: choice.httpWorks || choice.current !== 'websocket' }
  }
}

/** What to try next if a transport does not open: the transport may be blocked, or the server may be unreachable. */
function afterFailedOpen(choice: TransportChoice, silent: boolean): Partial<TransportChoice> {
  const { order, current, home, httpWorks, reasons } = choice
  const [first] = order
  if (current !== 'websocket') {
    if (current !== home) return { current: home, check: httpWorks && home === 'websocket' ? 'asking' : 'none' }
    if (httpWorks) return {}
    // A WebSocket may work even if plain HTTP does not.
    return { current: first !== current ? first : (order.find((one) => one === 'websocket') ?? current) }
  }
  if (home === current || reasons[home] !== undefined) {
    return mustAsk(choice) && choice.check === 'none'
      ? { check: 'asking', silent }
      : fallBack(choice, 'blocked', silent)
  }
  // The client has seen the transports between this one and a lower `home` fail. With a higher one, the server may be
  // away.
  const isBelow = rank(choice, home) > rank(choice, current)
  return { current: home, ...(isBelow ? { reasons: { ...reasons, websocket: 'blocked' } } : {}) }
}

/** Whether plain HTTP can show that the server is up before the next WebSocket. */
function mustAsk({ current, order }: TransportChoice): boolean {
  return current === 'websocket' && order.length > 1
}

function afterAnswer(choice: TransportChoice): Partial<TransportChoice> {
  if (choice.check !== 'asking') return {}
  // The server was up all the time: do not wait for another silent WebSocket.
  return choice.silent ? fallBack(choice, 'blocked', true) : { check: 'answered' }
}

function afterFailedCheck(
  choice: TransportChoice,
  { kind, foreign }: Pick<Loss, 'kind' | 'foreign'>,
): Partial<TransportChoice> {
  if (kind === 'by-server') return { httpWorks: true }
  const isAway = choice.httpWorks && foreign !== true
  return { silent: false, check: isAway ? 'asking' : 'none' }
}

function fallBack(choice: TransportChoice, why: MoveReason, inconclusive = false): Partial<TransportChoice> {
  const { order, current, reasons } = choice
  // Long polling needs the least of the network. If it is last, the client stays there; otherwise the order starts
  // again.
  const next = order[order.indexOf(current) + 1] ?? (current === 'long-poll' ? undefined : order[0])
  if (next === undefined) return { earlyBreaks: 0 }
  const checked = { check: 'none', silent: false, inconclusive: choice.inconclusive || inconclusive } as const
  return { ...checked, current: next, earlyBreaks: 0, reasons: { ...reasons, [current]: why } }
}

function rank(choice: TransportChoice, transport: Door): number {
  return choice.order.indexOf(transport)
}

/** The reasons against the transports above the open one. Without a known reason, plain HTTP did not work. */
function reasonsAbove({ order, current, reasons }: TransportChoice): TransportChoice['reasons'] {
  return Object.fromEntries(order.slice(0, order.indexOf(current)).map((one) => [one, reasons[one] ?? 'blocked']))
}
