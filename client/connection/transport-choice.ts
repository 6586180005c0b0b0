// TransportChoice: which door a client goes through, why not the one above it, and when it looks up again. Pure.
//
//   websocket ──blocked, unstable──► sse ──blocked, buffered, unstable──► long-poll
//       ▲ ▲                          │ ▲                                     │
//       │ └────── a probe holds ─────┘ └─────────── a probe holds ───────────┤
//       └───────────────────────── a probe holds ────────────────────────────┘
//
// A door that does not open says nothing as long as plain HTTP does not get through either: then the server is away, and
// the round begins again at the door that opened last (`home`). What the server itself says never moves anybody, but for the
// order that it prefers doors in, which may be another than this one: that is taken up when it is told.
import { DOORS, type Door, type DoorPolicy, SOON_MS } from '../transport/door.ts'
import type { LossKind } from '../transport/transport.ts'

/**
 * Why a door was left. `blocked`: it does not open, though the server is there. `buffered`: something on the way keeps
 * what the server sends. `unstable`: it breaks soon, again and again. `remembered`: it did not work the last time.
 */
export type MoveReason = 'blocked' | 'buffered' | 'unstable' | 'remembered'

/** Which door a client uses, for people and programs. */
export interface TransportState {
  /** In use, or tried at the moment. */
  readonly door: Door
  /** Why it is not the door above. */
  readonly why?: MoveReason
  /** How often the client came through another door than the time before. */
  readonly moves: number
}

/** A link that held for so long was good: probing begins with a short wait again. */
const GOOD_MS = 60_000
/** Soon broken so often in a row, a door is unstable. */
const STRIKES = 3
/** Milliseconds: a door that held before is tried again sooner. */
const KNOWN_PROBE_MS = 2_000

export interface TransportChoice {
  /** Best first; never empty. With one, there is no choice. */
  readonly doors: readonly [Door, ...Door[]]
  /** In use, or the next to try. */
  readonly door: Door
  /** Where a round begins when nobody can be reached. */
  readonly home: Door
  /** The door that was open last. */
  readonly last: Door | undefined
  readonly moves: number
  /** Why each door was left. */
  readonly left: Partial<Readonly<Record<Door, MoveReason>>>
  /** TransportSelector that held for a while in this client's life. */
  readonly proven: readonly Door[]
  /** Links of this door that broke soon, in a row. */
  readonly strikes: number
  /** Rounds of probing since a link was good. */
  readonly probes: number
  /** It moved because another order was preferred, and has not held since: nodes that do not agree move nobody to and fro. */
  readonly swayed: boolean
}

export type ChoiceEvent =
  /** The server prefers doors in this order. */
  | { readonly type: 'preferred'; readonly order: readonly [Door, ...Door[]] }
  /** The door let a link open. */
  | { readonly type: 'opened' }
  /** The link has held for SOON_MS. */
  | { readonly type: 'held' }
  /** @property heldMs for how long something had come over the link */
  | { readonly type: 'lost'; readonly kind: LossKind; readonly heldMs: number }
  /** A round of probing is over: this door held, or none. */
  | { readonly type: 'probed'; readonly door?: Door }

/** @param remembered the door that worked the last time */
export function newChoice(doors: readonly [Door, ...Door[]], remembered?: Door): TransportChoice {
  const known = remembered !== undefined && doors.includes(remembered)
  const door = known ? remembered : doors[0]
  const left: Partial<Record<Door, MoveReason>> = {}
  for (const above of doors.slice(0, doors.indexOf(door))) left[above] = 'remembered'
  return { doors, door, home: door, last: undefined, moves: 0, left, proven: [], strikes: 0, probes: 0, swayed: false }
}

/**
 * @param names of doors, best first, as the server or a storage tells them; what is none is passed over
 * @returns all doors: those first, the others after them in their own order
 */
export function preferring(names: readonly string[] = []): readonly [Door, ...Door[]] {
  const told = names.map((name) => (name === 'poll' ? 'long-poll' : name))
  const order = new Set([...told.flatMap((name) => DOORS.find((door) => door === name) ?? []), ...DOORS])
  const [first = DOORS[0], ...others] = order
  return [first, ...others]
}

export function nextChoice(choice: TransportChoice, event: ChoiceEvent): TransportChoice {
  const { door, last, proven, strikes } = choice
  switch (event.type) {
    case 'preferred':
      return preferred(choice, event.order)
    case 'opened': {
      const moves = last === undefined || last === door ? choice.moves : choice.moves + 1
      return { ...choice, home: door, last: door, moves, left: leftAbove(choice) }
    }
    case 'held':
      return { ...choice, strikes: 0, swayed: false, proven: proven.includes(door) ? proven : [...proven, door] }
    case 'lost': {
      const probes = event.heldMs >= GOOD_MS ? 0 : choice.probes
      if (event.kind !== 'broken') return { ...choice, probes, ...afterLoss(choice, event.kind) }
      const soon = event.heldMs < SOON_MS
      if (soon && strikes + 1 >= STRIKES) return { ...choice, probes, ...down(choice, 'unstable') }
      return { ...choice, probes, strikes: soon ? strikes + 1 : 0 }
    }
    case 'probed': {
      const probes = choice.probes + 1
      if (event.door === undefined || rank(choice, event.door) >= rank(choice, door)) return { ...choice, probes }
      return { ...choice, probes, door: event.door, strikes: 0 }
    }
  }
}

export function transportOf(choice: TransportChoice): TransportState {
  const { door, doors, left, moves } = choice
  const above = doors[doors.indexOf(door) - 1]
  const why = above === undefined ? undefined : left[above]
  return { door, moves, ...(why === undefined ? {} : { why }) }
}

/** TransportSelector that are better than the one in use, best first. */
export function better(choice: TransportChoice): readonly Door[] {
  return choice.doors.slice(0, rank(choice, choice.door))
}

/** Milliseconds until better doors are tried again; undefined when there are none. */
export function probeDelay(choice: TransportChoice, policy: DoorPolicy, random: number): number | undefined {
  const above = better(choice)
  if (above.length === 0) return undefined
  const known = above.some((door) => choice.proven.includes(door))
  const first = known ? Math.min(KNOWN_PROBE_MS, policy.probeMs) : policy.probeMs
  const bound = Math.min(policy.probeMaxMs, first * 2 ** Math.min(choice.probes, 30))
  // Half of it is chance, so that the clients of one office do not all try at once.
  return Math.ceil(bound * (0.5 + random / 2))
}

/** The best door of the new order that was not left, and that is at once, as nothing goes over the link yet. */
function preferred(choice: TransportChoice, order: readonly [Door, ...Door[]]): TransportChoice {
  const { doors, door, left } = choice
  const isSame = doors.length < 2 || order.every((preferred, index) => preferred === doors[index])
  if (isSame || choice.swayed) return choice
  const best = order.find((preferred) => left[preferred] === undefined) ?? door
  return { ...choice, doors: order, door: best, home: best, strikes: 0, swayed: best !== door }
}

function afterLoss(choice: TransportChoice, kind: Exclude<LossKind, 'broken'>): Partial<TransportChoice> {
  switch (kind) {
    case 'told':
      return {}
    case 'stalled':
      return down(choice, 'buffered')
    case 'refused':
      return down(choice, 'blocked')
    case 'unreached':
      return { strikes: 0, ...elsewhere(choice) }
  }
}

/** Where to try next when a door does not open: it may be the door, or the server is away. */
function elsewhere(choice: TransportChoice): Partial<TransportChoice> {
  const { doors, door, home, left } = choice
  const [first] = doors
  if (door !== 'websocket') {
    if (door !== home) return { door: home }
    // The one that is not plain HTTP may get through all the same.
    return { door: first !== door ? first : (doors.find((other) => other === 'websocket') ?? door) }
  }
  if (home === door || left[home] !== undefined) return down(choice, 'blocked')
  // What lies between, where it is below, is known not to work; above, it may be that the server is away.
  const isBelow = rank(choice, home) > rank(choice, door)
  return { door: home, ...(isBelow ? { left: { ...left, websocket: 'blocked' } } : {}) }
}

function down(choice: TransportChoice, why: MoveReason): Partial<TransportChoice> {
  const { doors, door, left } = choice
  // Long polls ask for less than any other, so that they stay where they are the last; else the round begins again.
  const next = doors[doors.indexOf(door) + 1] ?? (door === 'long-poll' ? undefined : doors[0])
  return next === undefined ? { strikes: 0 } : { door: next, strikes: 0, left: { ...left, [door]: why } }
}

function rank(choice: TransportChoice, door: Door): number {
  return choice.doors.indexOf(door)
}

/** Of an open door: those above it had a reason, if only that plain HTTP did not get through. */
function leftAbove({ doors, door, left }: TransportChoice): TransportChoice['left'] {
  return Object.fromEntries(doors.slice(0, doors.indexOf(door)).map((above) => [above, left[above] ?? 'blocked']))
}
