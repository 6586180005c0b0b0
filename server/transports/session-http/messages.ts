// POST …/messages: sends a message, and answers as the client likes: with the result of its run when that has ended, with
// its entries as they come, or at once, with the job that it is. Whichever it is, a client that is cut off loses nothing:
// the same request again finds the same run, and the entries have cursors.
import {
  type Cursor,
  type Door,
  ERRORS,
  formatCursor,
  HTTP_STATUS,
  Id,
  MessageRequest,
  ReplyError,
  type RunResult,
} from '@parley/protocol'
import type { Receipt } from '../../session/commands/caller.ts'
import { whenRunEnds } from '../../session/run-end.ts'
import { runResult } from '../../session/run-report.ts'
import { findCommand } from '../../session/state/session-state.ts'
import { negotiate } from '../http/accept.ts'
import { commandIdOf } from '../http/command-id.ts'
import { asProblem } from '../http/failure.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import { type Preferences, parsePrefer } from '../http/prefer.ts'
import type { Headers } from '../http/response-head.ts'
import type { Route } from '../http/route.ts'
import { formatJobId } from '../jobs/job-id.ts'
import { callerOf } from './caller.ts'
import { holdConnection, isPast, lastEventId } from './events.ts'
import { RunFilter } from './run-filter.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

/** Seconds that a request waits for the end of its run, and at most. */
const WAIT_S = 60
const WAIT_MAX_S = 600
/** Seconds after which to ask a provider again that wants fewer requests, and over which those who do are spread. */
const PROVIDER_S = 5
const PROVIDER_SPREAD_S = 10

const FORMS = ['application/json', 'text/event-stream', 'application/x-ndjson'] as const

export function messagesRoute(ports: SessionHttpPorts): Route {
  return {
    method: 'POST',
    path: '/v1/sessions/:session/messages',
    async handle(exchange) {
      const { request, leaving } = exchange
      const session = request.paramAs('session', Id)
      const form = negotiate(request.header('accept'), FORMS)
      const after = lastEventId(request)
      const id = commandIdOf(request)
      const prefer = parsePrefer(request.header('prefer'))
      const caller = callerOf(request, doorOf(form, prefer))
      const { tools = [], ...body } = await request.json(MessageRequest)
      if (tools.length > 0 && caller.roams !== true) {
        throw new HttpError('bad_request', 'tools need a connection: the header Parley-Connection', { path: 'tools' })
      }
      if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
      const sent = await ports.service.send({ type: 'send', id, session, ...body }, { ...caller, tools })
      // A message always has a run.
      const run = sent.run ?? ''
      if (form === 'application/json') {
        // What the command did: more than the job says, which is about its run.
        const done = { 'Parley-Cursor': sent.cursor, ...(sent.duplicate ? { 'Idempotent-Replayed': 'true' } : {}) }
        await answer(ports, exchange, { session, run }, prefer, done)
        return
      }
      const start = after ?? (await placeBefore(ports, session, id, sent))
      if (await isPast(ports, session, run, start)) {
        exchange.reply(204)
        return
      }
      holdConnection(ports, request, session)
      const reading = { session, after: start, fresh: after === undefined, merge: false, filter: new RunFilter(run) }
      await ports.readings.stream(exchange, form === 'text/event-stream' ? 'sse' : 'ndjson', reading)
    },
  }
}

interface RunName {
  readonly session: string
  readonly run: string
}

/** What such a request is called. */
function doorOf(form: (typeof FORMS)[number], prefer: Preferences): Door {
  if (form === 'text/event-stream') return 'sse'
  if (form === 'application/x-ndjson') return 'ndjson'
  return secondsOf(prefer) === 0 ? 'job' : 'request'
}

/** For which it waits. */
function secondsOf({ respondAsync, wait }: Preferences): number {
  return Math.min(wait ?? (respondAsync ? 0 : WAIT_S), WAIT_MAX_S)
}

/** With the result, or with the job when that is wanted sooner. */
async function answer(
  ports: SessionHttpPorts,
  exchange: HttpExchange,
  { session, run }: RunName,
  prefer: Preferences,
  done: Headers,
): Promise<void> {
  const { respondAsync, wait } = prefer
  const seconds = secondsOf(prefer)
  const result = seconds === 0 ? undefined : await resultWithin(ports, exchange, { session, run }, seconds)
  if (exchange.over) return
  const applied = [...(respondAsync ? ['respond-async'] : []), ...(wait === undefined ? [] : [`wait=${seconds}`])]
  const preference = applied.length === 0 ? {} : { 'Preference-Applied': applied.join(', ') }
  if (result === undefined) {
    const { body, headers } = await ports.jobs.accept(session, run)
    exchange.reply(202, body, { ...headers, ...preference, ...done })
    return
  }
  const headers = { 'Content-Location': `/jobs/${result.id}`, ...preference, ...done }
  if (result.error === undefined) exchange.reply(200, result, headers)
  else replyFailed(exchange, result, result.error, headers)
}

/** The result; undefined when the run has not ended in time, or the node is about to stop. */
async function resultWithin(
  ports: SessionHttpPorts,
  exchange: HttpExchange,
  { session, run }: RunName,
  seconds: number,
): Promise<RunResult | undefined> {
  const { request } = exchange
  const over = new AbortController()
  const end = (): void => over.abort()
  let timer = setTimeout(end, seconds * 1000)
  const hangUp = ports.activeReaders?.wait(session)
  onAbort(request.signal, end)
  exchange.onLeaving(({ withinMs }) => {
    clearTimeout(timer)
    timer = setTimeout(end, Math.random() * withinMs)
  })
  try {
    const found = await whenRunEnds(ports, session, run, over.signal)
    if (found === undefined) throw new ReplyError('run_not_found')
    // Who was removed meanwhile has no business with it any more.
    await ports.service.admit(session, callerOf(request), 'read')
    const result = runResult(session, found.view, (seq) => formatCursor(ports.stores.log.epoch, seq))
    return result === undefined ? undefined : { id: formatJobId({ session, run }), ...result }
  } finally {
    clearTimeout(timer)
    hangUp?.()
  }
}

/** As a problem, by the status of what the run failed of; what came before the failure is in it. */
function replyFailed(
  exchange: HttpExchange,
  result: RunResult,
  { code, message }: NonNullable<RunResult['error']>,
  headers: Headers,
): void {
  const failure = {
    code,
    status: HTTP_STATUS[code],
    title: ERRORS[code].message,
    detail: message === ERRORS[code].message ? undefined : message,
    path: undefined,
    // The same request again finds the same run.
    retryable: false,
    headers,
    closes: false,
  }
  const { body, contentType } = asProblem(failure, exchange.request.id)
  const later = PROVIDER_S + Math.floor(Math.random() * PROVIDER_SPREAD_S)
  exchange.reply(
    failure.status,
    { ...(body as object), result },
    {
      ...headers,
      'Content-Type': contentType,
      ...(failure.status === 429 ? { 'Retry-After': String(later) } : {}),
    },
  )
}

/** The cursor just before the command's message: what it began is after it. */
async function placeBefore(ports: SessionHttpPorts, session: string, id: string, sent: Receipt): Promise<Cursor> {
  // The receipt of an interrupt is of the end of what it superseded.
  const seq = await ports.sessions.with(session, async ({ state }) => findCommand(state, id)?.seq ?? sent.seq)
  return formatCursor(ports.stores.log.epoch, Math.max(0, seq - 1))
}
