// GET …/events: the entries of a session's log after a cursor, as server-sent events, as NDJSON, as one page of JSON,
// or as a long poll. All four accept the same cursors, so a client may switch between them at any point.
import {
  type Cursor,
  type EventsPage,
  formatCursor,
  Id,
  type Presence,
  parseCursor,
  ReplyError,
} from '@parley/protocol'
import { z } from 'zod'
import { tagOf } from '../../presence/presence-summary.ts'
import { lookUpRun } from '../../session/find-run.ts'
import { runsBelow } from '../../session/state/child-runs.ts'
import { negotiate } from '../http/accept.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { type HttpRequest, onAbort } from '../http/http-request.ts'
import type { Headers } from '../http/response-head.ts'
import type { Route } from '../http/route.ts'
import { callerOf, connectionOf } from './caller.ts'
import type { Page, ReadOptions } from './http-readers.ts'
import { PresenceLongPoll } from './presence-long-poll.ts'
import { RunFilter } from './run-filter.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

/** Longest long poll in seconds; a longer `wait` is reduced to it. */
const WAIT_MAX_S = 60

/** Shortest interval of heartbeats, in milliseconds. */
const HEARTBEAT_MIN_MS = 1_000

const FORMS = ['application/json', 'text/event-stream', 'application/x-ndjson'] as const

const Query = z.object({
  after: z.string().optional(),
  run: Id.optional(),
  presence: z.enum(['0', '1', 'true', 'false'], { error: 'must be true or false' }).optional(),
  here: z.string().max(64).optional(),
  merge: z.enum(['0', '1', 'true', 'false'], { error: 'must be true or false' }).optional(),
  children: z.enum(['0', '1', 'true', 'false'], { error: 'must be true or false' }).optional(),
  wait: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,3})?$/, 'must be a number of seconds')
    .optional(),
})

/** The query of a stream. */
const HeartbeatQuery = z.object({
  heartbeat: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,3})?$/, 'must be a number of seconds')
    .optional(),
})

export function eventsRoute(ports: SessionHttpPorts): Route {
  return {
    method: 'GET',
    path: '/v1/sessions/:session/events',
    events: true,
    async handle(exchange) {
      const { request } = exchange
      const session = request.paramAs('session', Id)
      const form = negotiate(request.header('accept'), FORMS)
      const { run, children, merge, presence, here, wait = '0', ...query } = request.queryAs(Query)
      const after = lastEventId(request) ?? asCursor(query.after)
      const heartbeatMs = heartbeatOf(request)
      // Like an attach, reading creates a session that does not exist yet.
      await ports.service.admitReader(session, callerOf(request))
      if (run !== undefined && (await isReadToEnd(ports, session, run, after))) {
        exchange.reply(204)
        return
      }
      const below = run !== undefined && isTrue(children) ? await childrenOf(ports, session, run) : undefined
      const filter = run === undefined ? undefined : new RunFilter(run, below)
      holdConnection(ports, request, session)
      const isStream = form !== 'application/json'
      const wantsPresence = isTrue(presence)
      const onAttached = (notify: (frame: Presence) => void): void => {
        const client = { ...callerOf(request), ...(wantsPresence ? { notify } : {}) }
        onAbort(request.signal, ports.httpPresence.hold(session, client, !isStream))
      }
      // Reading a single run, or polling without a connection name, does not count as presence.
      const isPresent = run === undefined && (isStream || connectionOf(request) !== undefined)
      const reading = {
        session,
        after,
        filter,
        merge: isTrue(merge),
        heartbeatMs,
        ...(isPresent ? { onAttached } : {}),
      }
      if (form === 'text/event-stream') await ports.httpReaders.stream(exchange, 'sse', reading)
      else if (form === 'application/x-ndjson') await ports.httpReaders.stream(exchange, 'ndjson', reading)
      else {
        const waitMs = Math.min(Number(wait), WAIT_MAX_S, ports.waitMaxS) * 1000
        const waitsForPresence = isPresent && wantsPresence && here !== undefined && waitMs > 0
        const changes = waitsForPresence
          ? new PresenceLongPoll(here, () => tagOf(ports.presence.latest(session)))
          : undefined
        if (changes !== undefined) onAbort(request.signal, () => changes.close())
        if (isPresent) onAttached(() => changes?.check())
        await poll(ports, exchange, reading, { waitMs, run, wantsPresence, changes })
      }
    },
  }
}

function isTrue(flag: string | undefined): boolean {
  return flag === '1' || flag === 'true'
}

/** The cursor in `Last-Event-ID`, which `EventSource` sends when it reconnects. @throws ReplyError invalid_cursor */
export function lastEventId(request: HttpRequest): Cursor | undefined {
  return asCursor(request.header('last-event-id'))
}

/** @param text '' is sent by an `EventSource` that has received no id yet, and means no cursor */
function asCursor(text: string | undefined): Cursor | undefined {
  if (text === undefined || text === '') return undefined
  if (parseCursor(text) === undefined) throw new ReplyError('invalid_cursor')
  return text
}

/**
 * The longest silence in milliseconds that the client of a stream wants; at least a second.
 * @throws HttpError bad_request
 */
export function heartbeatOf(request: HttpRequest): number | undefined {
  const { heartbeat } = request.queryAs(HeartbeatQuery)
  return heartbeat === undefined ? undefined : Math.max(HEARTBEAT_MIN_MS, Number(heartbeat) * 1000)
}

/**
 * Keeps the connection that the request names present until the request ends.
 * @throws ReplyError forbidden, HttpError bad_request
 */
export function holdConnection(ports: SessionHttpPorts, request: HttpRequest, session: string): void {
  const connection = connectionOf(request)
  if (connection === undefined) return
  onAbort(request.signal, ports.connections.hold(session, connection, request.user))
}

/** Whether the run has ended and its last entry is not after the cursor. @throws ReplyError run_not_found */
export async function isReadToEnd(
  ports: SessionHttpPorts,
  session: string,
  run: string,
  after: Cursor | undefined,
): Promise<boolean> {
  const found = await ports.sessions.with(session, (replica) => lookUpRun(ports.stores, replica, run))
  if (found === undefined) throw new ReplyError('run_not_found')
  const position = after === undefined ? undefined : parseCursor(after)
  if (position === undefined || found.record.ended === undefined) return false
  return position.epoch === ports.stores.log.epoch && position.seq >= found.record.last
}

/** The child runs below a run that the node knows. Those that begin later follow with their calls. */
async function childrenOf({ sessions, stores }: SessionHttpPorts, session: string, run: string): Promise<string[]> {
  const found = await sessions.with(session, (replica) => lookUpRun(stores, replica, run))
  return found === undefined ? [] : runsBelow(found.state, run).map(({ id }) => id)
}

interface PollOptions {
  readonly waitMs: number
  readonly run: string | undefined
  readonly wantsPresence: boolean
  /** Ends the wait early when the presence has changed. */
  readonly changes: PresenceLongPoll | undefined
}

async function poll(
  ports: SessionHttpPorts,
  exchange: HttpExchange,
  reading: ReadOptions,
  { waitMs, run, wantsPresence, changes }: PollOptions,
): Promise<void> {
  const { request, draining } = exchange
  const { session } = reading
  const { epoch } = ports.stores.log
  // Presence changes without a change of the log, so the cursor cannot be its ETag.
  const held = wantsPresence ? undefined : request.header('if-none-match')
  // If the log's head is what the client has, there is nothing to read.
  if (held !== undefined && waitMs === 0) {
    const etag = etagOf(formatCursor(epoch, await ports.httpReaders.head(session)), run, true)
    if (matches(held, etag)) return exchange.reply(304, undefined, headersOf(etag, true))
  }
  const page = await ports.httpReaders.page(
    exchange,
    { ...reading, merge: true },
    draining === undefined ? waitMs : 0,
    changes,
  )
  const cursor = formatCursor(epoch, page.position)
  const etag = etagOf(cursor, run, page.live)
  const headers = headersOf(etag, page.live && waitMs === 0)
  if (!page.reset && matches(held, etag)) exchange.reply(304, undefined, headers)
  else
    exchange.replyWith(200, asJson(page, cursor, wantsPresence ? presenceOf(ports, session) : undefined), {
      'Content-Type': 'application/json',
      ...headers,
    })
}

/** Range in seconds over which simultaneous pollers are spread. */
const SPREAD_S = 4

function headersOf(etag: string, isIdle: boolean): Headers {
  return {
    ETag: etag,
    'Cache-Control': 'private, no-cache',
    // Not after a wait, which spread the clients already, nor when there is more to read.
    ...(isIdle ? { 'Retry-After': String(1 + Math.floor(Math.random() * SPREAD_S)) } : {}),
  }
}

/** Weak, because the same entries may be merged differently. */
function etagOf(cursor: Cursor, run: string | undefined, live: boolean): string {
  return `W/"${cursor}${run === undefined ? '' : `+${run}`}${live ? '' : '+more'}"`
}

/** The comparison of If-None-Match (RFC 9110, section 8.8.3.2). */
function matches(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag.slice(2)) === true
}

function presenceOf({ presence }: SessionHttpPorts, session: string): NonNullable<EventsPage['presence']> {
  const frame = presence.latest(session)
  return { members: frame.members, count: frame.count, tag: tagOf(frame) }
}

function asJson(page: Page, cursor: Cursor, presence: EventsPage['presence']): string {
  const { live, role, reset } = page
  const head: Omit<EventsPage, 'entries'> = {
    cursor,
    live,
    role,
    ...(reset ? { reset } : {}),
    ...(presence && { presence }),
  }
  return `${JSON.stringify(head).slice(0, -1)},"entries":[${page.items}]}`
}
