// The jobs' routes: POST /jobs, and GET and DELETE /jobs/{id}. For who would rather ask now and then than stay on the line.
import { Cursor, type JobAccepted, JobRequest, makeId, ReplyError, type Send } from '@parley/protocol'
import { z } from 'zod'
import type { SessionService } from '../../session/session-service.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { type HttpRequest, onAbort } from '../http/http-request.ts'
import type { Headers } from '../http/response-head.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from '../session-http/caller.ts'
import { EventLoopLag } from './event-loop-lag.ts'
import { parseJobId } from './job-id.ts'
import { type JobReport, JobService, type JobServicePorts } from './job-service.ts'
import { pollMeanMs, type WaitingJob } from './pacing.ts'
import { type Pace, PollSchedule } from './poll-schedule.ts'

export interface JobPorts extends Omit<JobServicePorts, 'now'> {
  readonly service: SessionService
  /** Runs that are driven on this node, as a part of those that may be. */
  readonly busy: () => number
  readonly activeReaders?: ActiveReaders | undefined
  /** Unix milliseconds. */
  readonly now?: () => number
  /** From 0 to 1. */
  readonly random?: () => number
}

export interface JobTransport {
  readonly routes: readonly Route[]
  /** A run as a job, with the headers of an answer that does not wait for its end. @throws ReplyError job_not_found */
  accept(session: string, run: string): Promise<{ readonly body: JobAccepted; readonly headers: Headers }>
  close(): void
}

/** Seconds that a poll waits at most; who asks for more gets as much. */
const WAIT_MAX_S = 60
/** Milliseconds of lag from which on this node has too much to do. */
const LAG_MS = 50
/** Seconds over which those who have waited are then spread. */
const BUSY_S = 5
/** Of a wait: how much of it, at most, is left out, so that those who wait together do not come back together. */
const WAIT_SPREAD = 0.2

const LookQuery = z.object({
  since: Cursor.optional(),
  wait: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,3})?$/, 'must be a number of seconds')
    .optional(),
})

export function openJobTransport(ports: JobPorts): JobTransport {
  const { service, busy, now = Date.now, random = Math.random } = ports
  const desk = new JobService({ ...ports, now })
  const schedule = new PollSchedule(random)
  const lag = new EventLoopLag()

  const pace = (waiting: WaitingJob): Pace => {
    const at = performance.now()
    return schedule.next(at, pollMeanMs(waiting, { expected: schedule.expected(at), busy: busy(), lagMs: lag.ms() }))
  }

  async function accept(session: string, run: string) {
    const { body, seconds } = await desk.accepted({ session, run }, pace)
    return { body, headers: { Location: `/jobs/${body.id}`, ...retryAfter(seconds) } }
  }

  /** Whose session it is not learns nothing of the job. @throws ReplyError job_not_found */
  async function mustBeAdmitted(request: HttpRequest, id: string): Promise<void> {
    const name = parseJobId(id)
    if (name === undefined) throw new ReplyError('job_not_found')
    try {
      await service.admit(name.session, callerOf(request), 'read')
      ports.activeReaders?.ask(name.session)
    } catch (error) {
      const isForeign =
        error instanceof ReplyError && (error.code === 'forbidden' || error.code === 'session_not_found')
      throw isForeign ? new ReplyError('job_not_found') : error
    }
  }

  /** Who waits here is woken when there is something, and need not stay away in between; nor ask at each token. */
  function afterWait(waitedMs: number): number {
    const isBusy = lag.ms() >= LAG_MS
    return (waitedMs < 1000 ? 1 : 0) + (isBusy ? Math.ceil(BUSY_S * random()) : 0)
  }

  const begin: Route = {
    method: 'POST',
    path: '/jobs',
    async handle(exchange) {
      const { request } = exchange
      const command = asSend(request, await request.json(JobRequest))
      if (exchange.leaving !== undefined) {
        throw new ReplyError('going_away', undefined, { retryAfterMs: exchange.leaving.withinMs })
      }
      const { run, cursor, duplicate } = await service.send(command, callerOf(request, 'job'))
      // A message always has a run.
      const { body, headers } = await accept(command.session, run ?? '')
      const replayed = duplicate === true ? { 'Idempotent-Replayed': 'true' } : {}
      exchange.reply(202, body, { ...headers, 'Parley-Cursor': cursor, ...replayed })
    },
  }

  const look: Route = {
    method: 'GET',
    path: '/jobs/:id',
    async handle(exchange) {
      const { request, leaving } = exchange
      const { since, wait = '0' } = request.queryAs(LookQuery)
      const waitMs = leaving === undefined ? Math.min(Number(wait), WAIT_MAX_S) * 1000 : 0
      // Most polls do not wait, and a signal costs as much as the rest of the answer.
      const signal = waitMs > 0 ? endOfWait(exchange, random) : undefined
      const began = performance.now()
      const id = request.params.id ?? ''
      await mustBeAdmitted(request, id)
      const report = await desk.report(id, {
        since,
        waitMs: waitMs * (1 - WAIT_SPREAD * random()),
        holds: heldBy(request.header('if-none-match')),
        signal,
        pace,
      })
      // Who was a member when the wait began may be none any more.
      if (waitMs > 0) await mustBeAdmitted(request, id)
      const { hasEnded } = report
      const seconds = hasEnded || waitMs === 0 ? report.seconds : afterWait(performance.now() - began)
      answer(exchange, { ...report, seconds })
    },
  }

  const cancel: Route = {
    method: 'DELETE',
    path: '/jobs/:id',
    async handle(exchange) {
      const { request } = exchange
      const id = request.params.id ?? ''
      await mustBeAdmitted(request, id)
      const command = commandIdOf(request)
      const { session, run, hasEnded } = await desk.find(id)
      if (!hasEnded) await service.cancel({ type: 'cancel', id: command, session, run }, callerOf(request, 'job'))
      const now = { since: undefined, waitMs: 0, holds: undefined, signal: undefined, pace }
      answer(exchange, await desk.report(id, now))
    },
  }

  return { routes: [begin, look, cancel], accept, close: () => lag.close() }
}

/**
 * The command that a request for a job is. Without a session it has one of its own, which its key and its author name, so
 * that the same request again finds it.
 */
function asSend(request: HttpRequest, { session, ...body }: JobRequest): Send {
  const key = idempotencyKeyOf(request)
  const own = key === undefined ? makeId('job') : `job_${digest(request.user, key)}`
  return { type: 'send', id: commandIdOf(request), session: session ?? own, ...body }
}

function answer(exchange: HttpExchange, { etag, body, seconds, live }: JobReport): void {
  // Who has more to read need not wait for it.
  const headers = { ETag: etag, 'Cache-Control': 'private, no-cache', ...retryAfter(live ? seconds : 0) }
  if (body === undefined) exchange.reply(304, undefined, headers)
  else exchange.replyWith(200, body, { 'Content-Type': 'application/json', ...headers })
}

function retryAfter(seconds: number | undefined): Headers {
  return seconds === undefined ? {} : { 'Retry-After': String(seconds) }
}

/** As If-None-Match compares (RFC 9110, section 13.1.2). */
function heldBy(header: string | undefined): ((etag: string) => boolean) | undefined {
  if (header === undefined) return undefined
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return (etag) => tags.includes('*') || tags.includes(etag.replace(/^W\//, ''))
}

/** Aborted when the client has left, or a while after the node was told to stop. */
function endOfWait(exchange: HttpExchange, random: () => number): AbortSignal {
  const over = new AbortController()
  const { signal } = exchange.request
  onAbort(signal, () => over.abort(signal.reason))
  exchange.onLeaving(({ withinMs }) => {
    const timer = setTimeout(() => over.abort(), random() * withinMs)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
  return over.signal
}
