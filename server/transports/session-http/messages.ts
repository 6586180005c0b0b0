// POST …/messages: sends a message. The client chooses the answer: the result at the run's end, a stream of its
// entries, or the job at once. A disconnected client loses nothing: the same request finds the same run, and entries
// have cursors.
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
import { retryWaitMs, runResult } from '../../session/run-report.ts'
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
import { formatJobId, type JobName } from '../jobs/job-id.ts'
import { callerOf } from './caller.ts'
import { heartbeatOf, holdConnection, isReadToEnd, lastEventId } from './events.ts'
import { RunFilter } from './run-filter.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

/** Default wait for the end of a run in seconds: shorter than the timeouts of nginx (60 s) and HAProxy (often 50 s). */
const WAIT_S = 45

const FORMS = ['application/json', 'text/event-stream', 'application/x-ndjson'] as const

export function messagesRoute(ports: SessionHttpPorts): Route {
  return {
    method: 'POST',
    path: '/v1/sessions/:session/messages',
    async handle(exchange) {
      const { request, draining } = exchange
      const session = request.paramAs('session', Id)
      const form = negotiate(request.header('accept'), FORMS)
      const after = lastEventId(request)
      const heartbeatMs = heartbeatOf(request)
      const id = commandIdOf(request)
      const prefer = parsePrefer(request.header('prefer'))
      const caller = callerOf(request, defaultDoor(form, secondsOf(prefer, ports.waitMaxS)))
      const { tools = [], ...body } = await request.json(MessageRequest)
      if (tools.length > 0 && caller.roams !== true) {
        throw new HttpError('bad_request', 'Tools require the header Parley-Connection.', { path: 'tools' })
      }
      if (draining !== undefined) throw new ReplyError('going_away')
      const sent = await ports.service.send({ type: 'send', id, session, ...body }, { ...caller, tools })
      // Every message has a run.
      const run = sent.run ?? ''
      if (form === 'application/json') {
        // About the command; the job is only about its run.
        const commandHeaders = {
          'Parley-Cursor': sent.cursor,
          ...(sent.duplicate ? { 'Idempotent-Replayed': 'true' } : {}),
        }
        await answer(ports, exchange, { session, run }, prefer, commandHeaders)
        return
      }
      const start = after ?? (await cursorBefore(ports, session, id, sent))
      if (await isReadToEnd(ports, session, run, start)) {
        exchange.reply(204)
        return
      }
      holdConnection(ports, request, session)
      const reading = {
        session,
        after: start,
        fresh: after === undefined,
        merge: false,
        filter: new RunFilter(run),
        heartbeatMs,
      }
      await ports.httpReaders.stream(exchange, form === 'text/event-stream' ? 'sse' : 'ndjson', reading)
    },
  }
}

/** The transport of such a request in metrics. */
function defaultDoor(form: (typeof FORMS)[number], seconds: number): Door {
  if (form === 'text/event-stream') return 'sse'
  if (form === 'application/x-ndjson') return 'ndjson'
  return seconds === 0 ? 'job' : 'request'
}

/** Seconds for which the request waits. @param max the operator's maximum */
function secondsOf({ respondAsync, wait }: Preferences, max: number): number {
  return Math.min(wait ?? (respondAsync ? 0 : WAIT_S), max)
}

/** Answers with the result, or with the job if the run takes longer than the client wants to wait. */
async function answer(
  ports: SessionHttpPorts,
  exchange: HttpExchange,
  { session, run }: JobName,
  prefer: Preferences,
  commandHeaders: Headers,
): Promise<void> {
  const { respondAsync, wait } = prefer
  const seconds = secondsOf(prefer, ports.waitMaxS)
  const found = seconds === 0 ? undefined : await resultWithin(ports, exchange, { session, run }, seconds)
  if (exchange.closed) return
  const applied = [...(respondAsync ? ['respond-async'] : []), ...(wait === undefined ? [] : [`wait=${seconds}`])]
  const preference = applied.length === 0 ? {} : { 'Preference-Applied': applied.join(', ') }
  if (found === undefined) {
    const { body, headers } = await ports.jobs.accept(session, run)
    exchange.reply(202, body, { ...headers, ...preference, ...commandHeaders })
    return
  }
  const { result, waitMs } = found
  const headers = { 'Content-Location': `/jobs/${result.id}`, ...preference, ...commandHeaders }
  if (result.error === undefined) exchange.reply(200, result, headers)
  else replyFailed(exchange, result, { ...result.error, waitMs }, headers)
}

/** @returns undefined if the run does not end in time, or the node is about to stop */
async function resultWithin(
  ports: SessionHttpPorts,
  exchange: HttpExchange,
  { session, run }: JobName,
  seconds: number,
): Promise<{ readonly result: RunResult; readonly waitMs: number | undefined } | undefined> {
  const { request } = exchange
  const waiting = new AbortController()
  const end = (): void => waiting.abort()
  let timer = setTimeout(end, seconds * 1000)
  const endLongPoll = ports.activeReaders?.beginLongPoll(session)
  onAbort(request.signal, end)
  exchange.onDrain(({ withinMs }) => {
    clearTimeout(timer)
    timer = setTimeout(end, Math.random() * withinMs)
  })
  try {
    const found = await whenRunEnds(ports, session, run, request.user, waiting.signal)
    if (found === undefined) throw new ReplyError('run_not_found')
    // The user may have been removed from the session during the wait.
    await ports.service.admit(session, callerOf(request), 'read')
    const result = runResult(session, found.record, (seq) => formatCursor(ports.stores.log.epoch, seq))
    if (result === undefined) return undefined
    return { result: { id: formatJobId({ session, run }), ...result }, waitMs: retryWaitMs(found.record) }
  } finally {
    clearTimeout(timer)
    endLongPoll?.()
  }
}

/** Answers with a problem: the status and code of the run's error, and the partial result. */
function replyFailed(
  exchange: HttpExchange,
  result: RunResult,
  error: NonNullable<RunResult['error']> & { readonly waitMs: number | undefined },
  headers: Headers,
): void {
  const { code, message, retryable, waitMs } = error
  const failure = {
    code,
    status: HTTP_STATUS[code],
    title: ERRORS[code].message,
    detail: message === ERRORS[code].message ? undefined : message,
    path: undefined,
    // The same request with the same key finds the same failed run.
    retryable: retryable && exchange.request.header('idempotency-key') === undefined,
    headers,
    closes: false,
  }
  const { body, contentType } = asProblem(failure, exchange.request.id)
  exchange.reply(
    failure.status,
    { ...(body as object), result },
    {
      ...headers,
      'Content-Type': contentType,
      ...(waitMs === undefined ? {} : { 'Retry-After': String(Math.ceil(waitMs / 1000)) }),
    },
  )
}

/** The cursor just before the command's message, so that its run's entries are after it. */
async function cursorBefore(ports: SessionHttpPorts, session: string, id: string, sent: Receipt): Promise<Cursor> {
  // The receipt of an interrupt has the position of the superseded run's end, not of the message.
  const seq = await ports.sessions.with(session, async ({ state }) => findCommand(state, id)?.seq ?? sent.seq)
  return formatCursor(ports.stores.log.epoch, Math.max(0, seq - 1))
}
