// GET …/events: what is in a session's log after a cursor. As server-sent events, as lines, or as one page of JSON, for
// which one may wait. All four begin at the same cursors, so that a client may change from one to another anywhere.
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
import { tagOf } from '../../presence/presence-tag.ts'
import { lookUpRun } from '../../session/find-run.ts'
import { negotiate } from '../http/accept.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { type HttpRequest, onAbort } from '../http/http-request.ts'
import type { Headers } from '../http/response-head.ts'
import type { Route } from '../http/route.ts'
import { callerOf, connectionOf } from './caller.ts'
import { PresenceLongPoll } from './presence-long-poll.ts'
import type { Page, Reading } from './readings.ts'
import { RunFilter } from './run-filter.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

/** Seconds that a poll waits at most; who asks for more gets as much. */
export const WAIT_MAX_S = 60

const FORMS = ['application/json', 'text/event-stream', 'application/x-ndjson'] as const

const Query = z.object({
  after: z.string().optional(),
  run: Id.optional(),
  presence: z.enum(['0', '1', 'true', 'false'], { error: 'must be true or false' }).optional(),
  here: z.string().max(64).optional(),
  merge: z.enum(['0', '1', 'true', 'false'], { error: 'must be true or false' }).optional(),
  wait: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,3})?$/, 'must be a number of seconds')
    .optional(),
})

export function eventsRoute(ports: SessionHttpPorts): Route {
  return {
    method: 'GET',
    path: '/v1/sessions/:session/events',
    async handle(exchange) {
      const { request } = exchange
      const session = request.paramAs('session', Id)
      const form = negotiate(request.header('accept'), FORMS)
      const { run, merge, presence, here, wait = '0', ...query } = request.queryAs(Query)
      const after = lastEventId(request) ?? asCursor(query.after)
      // As an attach does, reading founds a session that is empty.
      await ports.service.enter(session, callerOf(request))
      const filter = run === undefined ? undefined : new RunFilter(run)
      if (run !== undefined && (await isPast(ports, session, run, after))) {
        exchange.reply(204)
        return
      }
      holdConnection(ports, request, session)
      const isStream = form !== 'application/json'
      const isTold = isTrue(presence)
      const begun = (tell: (frame: Presence) => void): void => {
        const watcher = { ...callerOf(request), ...(isTold ? { notify: tell } : {}) }
        onAbort(request.signal, ports.watching.hold(session, watcher, !isStream))
      }
      // Who reads one run, or polls without a name, is not taken for somebody in the session.
      const isSeen = run === undefined && (isStream || connectionOf(request) !== undefined)
      const reading = { session, after, filter, merge: isTrue(merge), ...(isSeen ? { begun } : {}) }
      if (form === 'text/event-stream') await ports.readings.stream(exchange, 'sse', reading)
      else if (form === 'application/x-ndjson') await ports.readings.stream(exchange, 'ndjson', reading)
      else {
        const waitMs = Math.min(Number(wait), WAIT_MAX_S) * 1000
        const isHeld = isSeen && isTold && here !== undefined && waitMs > 0
        const news = isHeld ? new PresenceLongPoll(here, () => tagOf(ports.presence.latest(session))) : undefined
        if (news !== undefined) onAbort(request.signal, () => news.close())
        if (isSeen) begun(() => news?.look())
        await poll(ports, exchange, reading, { waitMs, run, isTold, news })
      }
    },
  }
}

function isTrue(flag: string | undefined): boolean {
  return flag === '1' || flag === 'true'
}

/** Where a client stands that comes back: what `EventSource` sends by itself. @throws ReplyError invalid_cursor */
export function lastEventId(request: HttpRequest): Cursor | undefined {
  return asCursor(request.header('last-event-id'))
}

/** @param text '' is none: an `EventSource` that was given no id yet */
function asCursor(text: string | undefined): Cursor | undefined {
  if (text === undefined || text === '') return undefined
  if (parseCursor(text) === undefined) throw new ReplyError('invalid_cursor')
  return text
}

/** The connection that the request names is here as long as it is answered. @throws ReplyError forbidden, HttpError bad_request */
export function holdConnection(ports: SessionHttpPorts, request: HttpRequest, session: string): void {
  const connection = connectionOf(request)
  if (connection === undefined) return
  onAbort(request.signal, ports.connections.hold(session, connection, request.user))
}

/** Whether all of the run comes before the cursor. @throws ReplyError run_not_found */
export async function isPast(
  ports: SessionHttpPorts,
  session: string,
  run: string,
  after: Cursor | undefined,
): Promise<boolean> {
  const found = await ports.sessions.with(session, (held) => lookUpRun(ports.stores, held, run))
  if (found === undefined) throw new ReplyError('run_not_found')
  const position = after === undefined ? undefined : parseCursor(after)
  if (position === undefined || found.view.ended === undefined) return false
  return position.epoch === ports.stores.log.epoch && position.seq >= found.view.last
}

interface PollTerms {
  readonly waitMs: number
  readonly run: string | undefined
  /** Of who is here. */
  readonly isTold: boolean
  readonly news: PresenceLongPoll | undefined
}

async function poll(
  ports: SessionHttpPorts,
  exchange: HttpExchange,
  reading: Reading,
  { waitMs, run, isTold, news }: PollTerms,
): Promise<void> {
  const { request, leaving } = exchange
  const { session } = reading
  const { epoch } = ports.stores.log
  // Who is here changes without the log.
  const held = isTold ? undefined : request.header('if-none-match')
  // What nobody has added to need not be read.
  if (held !== undefined && waitMs === 0) {
    const etag = etagOf(formatCursor(epoch, await ports.readings.head(session)), run, true)
    if (matches(held, etag)) return exchange.reply(304, undefined, headersOf(etag, true))
  }
  const page = await ports.readings.page(
    exchange,
    { ...reading, merge: true },
    leaving === undefined ? waitMs : 0,
    news,
  )
  const cursor = formatCursor(epoch, page.position)
  const etag = etagOf(cursor, run, page.live)
  const headers = headersOf(etag, page.live && waitMs === 0)
  if (!page.reset && matches(held, etag)) exchange.reply(304, undefined, headers)
  else
    exchange.replyWith(200, asJson(page, cursor, isTold ? here(ports, session) : undefined), {
      'Content-Type': 'application/json',
      ...headers,
    })
}

/** Seconds over which those who poll at the same time are spread. */
const SPREAD_S = 4

function headersOf(etag: string, idle: boolean): Headers {
  return {
    ETag: etag,
    'Cache-Control': 'private, no-cache',
    // Who has waited was spread by what he waited for; who has more to read need not wait.
    ...(idle ? { 'Retry-After': String(1 + Math.floor(Math.random() * SPREAD_S)) } : {}),
  }
}

/** Weak: the same entries may be merged in another way. */
function etagOf(cursor: Cursor, run: string | undefined, live: boolean): string {
  return `W/"${cursor}${run === undefined ? '' : `+${run}`}${live ? '' : '+more'}"`
}

/** As If-None-Match compares (RFC 9110, section 8.8.3.2). */
function matches(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag.slice(2)) === true
}

function here({ presence }: SessionHttpPorts, session: string): NonNullable<EventsPage['presence']> {
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
