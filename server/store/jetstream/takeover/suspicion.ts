// Suspicion: what a node concludes about another node (a peer) from its signs of life. Pure: the shell is `node-watch.ts`.
//
//             silent for SUSPECT_MS                nobody listens, or silent for the node timeout
//   alive ─────────────────────────▶ suspected ────────────────────────────────────▶ lost
//     ▲                                  │  asked again and again                       │
//     └────── a sign or an answer ───────┴──────────────── a sign ──────────────────────┘
//
// All times are observed time: milliseconds during which this node was able to hear. It pauses while this node is
// paused, starved or disconnected, so that a node never blames its own delay on others.

export interface Peer {
  readonly phase: 'alive' | 'suspected' | 'lost'
  /** When it was last heard. */
  readonly heardAt: number
  /** The id of the NATS server to which it was connected. A restarted server has a new id. */
  readonly server: string
  /** Heard since this node last connected to NATS. */
  readonly isFresh: boolean
  /** Questions since it became silent, and the time of the last one. */
  readonly questions: number
  readonly askedAt: number
  /** Questions in a row for which NATS found no listener. */
  readonly absences: number
  /** When it was lost. */
  readonly lostAt: number
}

/** `gone`: its process ended, or it lost NATS. `silent`: it is paused, or it is cut off without NATS noticing. */
export type Cause = 'gone' | 'silent'

export type Step = { readonly do: 'wait' | 'ask' } | { readonly do: 'lose'; readonly cause: Cause }

export interface SuspicionRules {
  /** Silence after which a peer is lost, although NATS still has its connection. */
  readonly silentMs: number
}

/** Between two signs of life. */
export const SIGN_MS = 200
export const SUSPECT_MS = 300
/** After the first question. Each further pause is twice as long. */
const ASK_AGAIN_MS = 100
const ABSENCES = 2
/** Silence of an absent peer whose NATS server may have failed: its client needs time to reach another server. */
const STRANDED_MS = 900
/** A frozen peer had this many chances to answer. */
const QUESTIONS = 3
/** A tick that comes later counts as this long. */
const LATE_MS = 100
/** An own sign that takes longer to return: this node, or NATS, is too slow to judge. */
const ECHO_MS = 150

const WAIT: Step = { do: 'wait' }
const ASK: Step = { do: 'ask' }

/**
 * @param sinceMs real milliseconds since the last tick
 * @param unheardMs the age of the oldest own sign that has not returned; 0 if all have
 * @returns the milliseconds of observed time that have passed
 */
export function observed(sinceMs: number, isConnected: boolean, unheardMs: number): number {
  return isConnected && unheardMs <= ECHO_MS ? Math.min(sinceMs, LATE_MS) : 0
}

/** A sign or an answer arrived. */
export function heard(at: number, server: string): Peer {
  return { phase: 'alive', heardAt: at, server, isFresh: true, questions: 0, askedAt: 0, absences: 0, lostAt: 0 }
}

/** This node has connected again: what it missed says nothing about the peer. */
export function reconnected(peer: Peer, at: number): Peer {
  return peer.phase === 'lost' ? peer : { ...heard(at, peer.server), isFresh: false }
}

export function asked(peer: Peer, at: number): Peer {
  return { ...peer, phase: 'suspected', questions: peer.questions + 1, askedAt: at }
}

/** NATS found no listener for a question. */
export function absent(peer: Peer): Peer {
  return peer.phase === 'suspected' ? { ...peer, absences: peer.absences + 1 } : peer
}

export function lost(peer: Peer, at: number): Peer {
  return { ...peer, phase: 'lost', lostAt: at }
}

/** @param isServerAlive whether a node that is heard has the same NATS server. If not, that server may have failed. */
export function nextStep(peer: Peer, at: number, isServerAlive: boolean, { silentMs }: SuspicionRules): Step {
  const silence = at - peer.heardAt
  if (peer.phase === 'lost' || silence < SUSPECT_MS) return WAIT
  const absenceMs = !peer.isFresh ? silentMs : isServerAlive ? 0 : STRANDED_MS
  if (peer.absences >= ABSENCES && silence >= Math.min(absenceMs, silentMs)) return { do: 'lose', cause: 'gone' }
  if (silence >= silentMs && peer.questions >= QUESTIONS) return { do: 'lose', cause: 'silent' }
  if (peer.questions === 0) return ASK
  return at - peer.askedAt >= ASK_AGAIN_MS * 2 ** (peer.questions - 1) ? ASK : WAIT
}

/** The order in which the nodes act, so that one of them acts. Each node computes the same from the same ids. */
export function rankOf(node: string, others: Iterable<string>, about: string): number {
  const own = weight(node, about)
  let rank = 0
  for (const other of others) if (weight(other, about) > own) rank += 1
  return rank
}

/** FNV-1a with a final mix. */
function weight(node: string, about: string): number {
  let value = 0x811c9dc5
  const text = `${about}/${node}`
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0
  return (value ^ (value >>> 13)) >>> 0
}
