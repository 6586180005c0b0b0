// NodeWatch: shows the other nodes that this node lives and which runs it drives, and watches theirs. If a node dies,
// freezes or is cut off, one of the others returns its runs to the queue at once, instead of after `ack_wait`. The log's
// compare makes a wrong verdict harmless: it costs a restart of the runs.
import { randomBytes } from 'node:crypto'
import {
  type Msg,
  type Subscription as NatsSubscription,
  NoRespondersError,
  RequestError,
} from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { StorageError } from '../../ports/errors.ts'
import type { NodeVerdict, NodeVerdicts } from '../../ports/node-verdicts.ts'
import type { Subscription } from '../../ports/session-log.ts'
import { type JetStreamConnection, jsonOf } from '../connection.ts'
import { parseAck } from '../queue/ack-subject.ts'
import type { Streams } from '../streams.ts'
import { Roster, RosterCopy, type Row } from './roster.ts'
import { returnRuns } from './run-returns.ts'
import { encodeSign, parseSign, type Sign } from './sign.ts'
import * as Suspicion from './suspicion.ts'

export interface NodeWatchOptions {
  readonly connection: Pick<JetStreamConnection, 'nats' | 'state' | 'onState'>
  readonly streams: Pick<Streams, 'prefix' | 'runs' | 'runConsumer'>
  readonly logger: Logger
  /** The node's name for people. */
  readonly name?: string
  /** Milliseconds of silence after which a node that does not answer is lost; default 2,000. */
  readonly timeoutMs?: number
}

interface WatchedNode {
  peer: Suspicion.Peer
  /** For people. */
  name: string
  readonly roster: RosterCopy
  /** When its whole roster was requested (observed time). */
  requestedAt: number
  cause: Suspicion.Cause
  /** The node that returns its runs, or has returned them. */
  settledBy: string | undefined
}

const TIMEOUT_MS = 2_000
const TICK_MS = 50
/** Between two messages with news of the roster, among up to ten nodes. Each message goes to all nodes. */
const NEWS_MS = 25
const NEWS_MS_PER_NODE = 2.5
const QUESTION_MS = 2_000
const RETURN_MS = 1_000
/** Between two requests for a whole roster. */
const WHOLE_MS = 1_000
/** How long the next node waits for the one that should act. */
const TURN_MS = 300
/** A node that is lost so soon after another one may not have returned that one's runs. */
const UNSETTLE_MS = 10_000
const FORGET_MS = 60_000
const NODES_MAX = 1_000
/** Own signs that have not returned. */
const UNHEARD_MAX = 1_000
/** The message that requests the whole roster. */
const WHOLE = 'whole'

export class NodeWatch implements NodeVerdicts {
  readonly #options: NodeWatchOptions
  readonly #id = randomBytes(9).toString('base64url')
  readonly #signs: string
  /** The run queue's, as in acknowledgement subjects. */
  readonly #consumer: string
  readonly #rules: Suspicion.SuspicionRules
  readonly #roster = new Roster()
  readonly #nodes = new Map<string, WatchedNode>()
  readonly #listeners = new Set<(verdict: NodeVerdict) => void>()
  readonly #overtaken = new Set<(message: number) => void>()
  readonly #subscriptions: readonly NatsSubscription[]
  readonly #states: Subscription
  readonly #timer: NodeJS.Timeout
  #news: NodeJS.Timeout | undefined
  /** Observed time. */
  #now = 0
  #tickedAt = performance.now()
  /** Of the last own sign. */
  #number = 0
  #signedAt = 0
  /** Number and time of own signs that have not returned. */
  readonly #unheard: { readonly number: number; readonly at: number }[] = []
  #closed = false

  constructor(options: NodeWatchOptions) {
    this.#options = options
    const { connection, streams } = options
    this.#rules = { silentMs: options.timeoutMs ?? TIMEOUT_MS }
    this.#signs = `${streams.prefix}.signs`
    this.#consumer = `${streams.runs}.${streams.runConsumer}`
    this.#subscriptions = [
      connection.nats.subscribe(this.#signs, {
        callback: (error, message) => (error ? undefined : this.#receive(message)),
      }),
      connection.nats.subscribe(this.#subjectOf(this.#id), {
        callback: (error, message) => (error ? undefined : this.#receiveDirect(message)),
      }),
    ]
    this.#states = connection.onState((state) => (state === 'live' ? this.#resume() : this.#pause()))
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
    this.#sign()
  }

  /** This node drives a delivery. @param reply its acknowledgement subject */
  took(reply: string): void {
    this.#roster.took(reply)
    this.#announceSoon()
  }

  /** This node no longer drives it. The next sign of life says so. */
  left(reply: string): void {
    this.#roster.left(reply)
  }

  /** @param listener called with the message number of a delivery of this node that another node has now; must not throw */
  onOvertaken(listener: (message: number) => void): Subscription {
    this.#overtaken.add(listener)
    return { close: () => this.#overtaken.delete(listener) }
  }

  onVerdict(listener: (verdict: NodeVerdict) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  /** Says goodbye, unless this node still drives runs: then the other nodes return them soon. Idempotent. */
  close(): void {
    if (this.#closed) return
    if (this.#roster.size === 0) this.#publish({ bye: true })
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#news)
    this.#states.close()
    if (!this.#options.connection.nats.isClosed()) for (const one of this.#subscriptions) one.unsubscribe()
  }

  get #isLive(): boolean {
    const { nats, state } = this.#options.connection
    return !this.#closed && state === 'live' && !nats.isClosed()
  }

  #subjectOf(node: string): string {
    return `${this.#options.streams.prefix}.node.${node}`
  }

  #pause(): void {
    this.#unheard.length = 0
  }

  #resume(): void {
    for (const node of this.#nodes.values()) node.peer = Suspicion.reconnected(node.peer, this.#now)
    this.#tickedAt = performance.now()
    this.#sign()
  }

  #announceSoon(): void {
    if (this.#news !== undefined || this.#closed) return
    const pauseMs = Math.max(NEWS_MS, NEWS_MS_PER_NODE * this.#nodes.size)
    this.#news = setTimeout(() => this.#sign(), Math.max(0, this.#signedAt + pauseMs - performance.now())).unref()
  }

  /** Publishes a sign of life with all news of the roster. */
  #sign(lost?: Sign['lost']): void {
    clearTimeout(this.#news)
    this.#news = undefined
    if (!this.#isLive) return
    do {
      this.#publish({ ...this.#roster.changes(), lost })
    } while (this.#roster.hasNews)
  }

  #publish(content: Partial<Sign>): void {
    if (!this.#isLive) return
    this.#signedAt = performance.now()
    this.#number += 1
    if (this.#unheard.length < UNHEARD_MAX) this.#unheard.push({ number: this.#number, at: this.#signedAt })
    this.#options.connection.nats.publish(this.#signs, this.#encode(content))
  }

  #encode(content: Partial<Sign>): string {
    const server = this.#options.connection.nats.info?.server_id ?? ''
    const defaults = { took: [], left: [], bye: false, server }
    return encodeSign({ ...defaults, ...content, node: this.#id, number: this.#number, news: this.#roster.news })
  }

  #receive(message: Msg): void {
    const sign = parseSign(jsonOf(message))
    if (sign === undefined) return
    if (sign.node === this.#id) {
      while (this.#unheard[0] !== undefined && this.#unheard[0].number <= sign.number) this.#unheard.shift()
      return
    }
    if (sign.bye) {
      this.#nodes.delete(sign.node)
      return
    }
    const node = this.#heard(sign.node, sign.server)
    if (node === undefined) return
    node.name = sign.name ?? node.name
    const took = sign.took.filter((reply) => parseAck(reply)?.consumer === this.#consumer)
    if (sign.whole !== undefined) node.roster.applyWhole(sign.news, { ...sign.whole, took })
    else node.roster.apply(sign.news, { took, left: sign.left })
    for (const reply of took) this.#compare(reply)
    if (sign.lost !== undefined) this.#settle(sign.lost, sign.node)
  }

  /** @returns undefined if there are too many nodes */
  #heard(id: string, server: string): WatchedNode | undefined {
    const peer = Suspicion.heard(this.#now, server)
    const known = this.#nodes.get(id)
    if (known === undefined) {
      if (this.#nodes.size >= NODES_MAX) return undefined
      const requestedAt = Number.NEGATIVE_INFINITY
      const node: WatchedNode = {
        peer,
        name: id,
        roster: new RosterCopy(),
        requestedAt,
        cause: 'silent',
        settledBy: undefined,
      }
      this.#nodes.set(id, node)
      // It has just started, or this node has. Either way, it does not know this node's runs.
      this.#sendRoster(this.#subjectOf(id))
      return node
    }
    if (known.peer.phase === 'suspected') this.#report({ outcome: 'refuted', runs: 0 })
    if (known.peer.phase === 'lost') {
      this.#options.logger.info({ peer: known.name }, 'a lost node is back')
      known.roster.clear()
      known.settledBy = undefined
    }
    known.peer = peer
    return known
  }

  /** A later delivery of a run that this node drives went to another node. */
  #compare(reply: string): void {
    const ack = parseAck(reply)
    const own = ack && this.#roster.get(ack.message)
    if (ack === undefined || own === undefined || own.attempt >= ack.attempt) return
    for (const listener of this.#overtaken) listener(ack.message)
  }

  /** Another node returns the runs of a lost one. */
  #settle({ node: id, cause }: NonNullable<Sign['lost']>, by: string): void {
    if (id === this.#id) {
      this.#options.logger.warn(
        { peer: this.#nodes.get(by)?.name, cause },
        'another node took this node for dead, and returned its runs to the queue',
      )
      return
    }
    const node = this.#nodes.get(id)
    if (node === undefined) return
    if (node.peer.phase !== 'lost') this.#lose(id, node, cause)
    node.settledBy = by
  }

  /** A question, a request for the whole roster, or a part of one that this node requested. */
  #receiveDirect(message: Msg): void {
    const { reply = '' } = message
    const text = message.string()
    if (text === '') message.respond(this.#id)
    else if (text !== WHOLE) this.#receive(message)
    else if (reply.startsWith(this.#subjectOf(''))) this.#sendRoster(reply)
  }

  #sendRoster(subject: string): void {
    if (!this.#isLive) return
    const name = this.#options.name ?? this.#id
    for (const { took, ...whole } of this.#roster.whole())
      this.#options.connection.nats.publish(subject, this.#encode({ took, whole, name }))
  }

  #tick(): void {
    const now = performance.now()
    const unheardMs = this.#unheard[0] === undefined ? 0 : now - this.#unheard[0].at
    this.#now += Suspicion.observed(now - this.#tickedAt, this.#isLive, unheardMs)
    this.#tickedAt = now
    if (now - this.#signedAt >= Suspicion.SIGN_MS) this.#sign()
    if (!this.#isLive) return
    const servers = this.#liveServers()
    for (const [id, node] of this.#nodes) {
      const step = Suspicion.nextStep(node.peer, this.#now, servers.has(node.peer.server), this.#rules)
      if (step.do === 'ask') this.#ask(id, node)
      else if (step.do === 'lose') this.#lose(id, node, step.cause)
      else if (node.peer.phase === 'lost') this.#takeTurn(id, node)
      else if (!node.roster.isComplete) this.#requestRoster(id, node)
    }
  }

  /** The NATS servers through which this node hears somebody now. */
  #liveServers(): ReadonlySet<string> {
    const servers = new Set<string>()
    const own = this.#options.connection.nats.info?.server_id
    if (own !== undefined) servers.add(own)
    for (const { peer } of this.#nodes.values())
      if (peer.phase === 'alive' && this.#now - peer.heardAt < Suspicion.SUSPECT_MS) servers.add(peer.server)
    return servers
  }

  #ask(id: string, node: WatchedNode): void {
    node.peer = Suspicion.asked(node.peer, this.#now)
    this.#options.connection.nats.request(this.#subjectOf(id), '', { timeout: QUESTION_MS }).then(
      () => {
        if (!this.#closed && this.#nodes.get(id) === node) this.#heard(id, node.peer.server)
      },
      (error: unknown) => {
        const isAbsent = error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders())
        if (isAbsent) node.peer = Suspicion.absent(node.peer)
      },
    )
  }

  #requestRoster(id: string, node: WatchedNode): void {
    if (this.#now - node.requestedAt < WHOLE_MS) return
    node.requestedAt = this.#now
    this.#options.connection.nats.publish(this.#subjectOf(id), WHOLE, { reply: this.#subjectOf(this.#id) })
  }

  #lose(id: string, node: WatchedNode, cause: Suspicion.Cause): void {
    node.peer = Suspicion.lost(node.peer, this.#now)
    node.cause = cause
    // What this node was about to return, another one returns.
    for (const other of this.#nodes.values())
      if (other.settledBy === id && this.#now - other.peer.lostAt < UNSETTLE_MS) {
        other.settledBy = undefined
        other.peer = Suspicion.lost(other.peer, this.#now)
      }
  }

  /** The nodes act one after the other, until one of them returns the lost node's runs. */
  #takeTurn(id: string, node: WatchedNode): void {
    const lostMs = this.#now - node.peer.lostAt
    if (lostMs > FORGET_MS) this.#nodes.delete(id)
    if (lostMs > FORGET_MS || node.settledBy !== undefined) return
    const others = [...this.#nodes].flatMap(([other, { peer }]) => (peer.phase === 'alive' ? [other] : []))
    if (lostMs < Suspicion.rankOf(this.#id, others, id) * TURN_MS) return
    node.settledBy = this.#id
    const { name, cause } = node
    const rows = new Map([...node.roster.rows].filter(([message, row]) => !this.#isElsewhere(message, row, node)))
    this.#report({ outcome: cause, runs: rows.size })
    this.#options.logger.warn({ peer: name, cause, runs: rows.size }, 'lost a node, and returned its runs to the queue')
    // First, so that no other node acts as well.
    this.#sign({ node: id, cause })
    this.#return(id, node, rows).catch((error: unknown) => {
      this.#options.logger.error({ err: error, peer: name }, 'stopped returning runs to the queue')
    })
  }

  async #return(id: string, node: WatchedNode, rows: ReadonlyMap<number, Row>): Promise<void> {
    const { nats } = this.#options.connection
    const waiting = await returnRuns(rows, {
      isElsewhere: (message, row) => this.#isElsewhere(message, row, node),
      isLost: () => this.#isStillLost(id, node),
      nak: async (reply) => {
        // The client would publish it after a reconnect, when it may be wrong.
        if (!this.#isLive) throw new StorageError('unavailable')
        await nats.request(reply, '-NAK', { timeout: RETURN_MS })
      },
    })
    if (waiting > 0)
      this.#options.logger.warn(
        { peer: node.name, runs: waiting },
        'could not return runs to the queue; they wait for ack_wait',
      )
  }

  async #isStillLost(id: string, node: WatchedNode): Promise<boolean> {
    try {
      await this.#options.connection.nats.request(this.#subjectOf(id), '', { timeout: RETURN_MS })
      return false
    } catch {
      return !this.#closed && node.peer.phase === 'lost'
    }
  }

  /** Another node has a later delivery of the run. Returning this one would take the run from that node. */
  #isElsewhere(message: number, { attempt }: Row, of: WatchedNode): boolean {
    // After a change of its leader, JetStream may use an attempt's number again.
    if ((this.#roster.get(message)?.attempt ?? 0) >= attempt) return true
    return [...this.#nodes.values()].some((node) => {
      const other = node === of ? 0 : (node.roster.rows.get(message)?.attempt ?? 0)
      return other > attempt || (other === attempt && node.peer.phase !== 'lost')
    })
  }

  #report(verdict: NodeVerdict): void {
    for (const listener of this.#listeners) listener(verdict)
  }
}
