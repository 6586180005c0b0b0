// The routes of jobs: POST /jobs, and GET and DELETE /jobs/{id}. A job is a run that is accessed by polling.
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
import { type Pace, PollSchedule, pollMeanMs, type WaitingJob } from './poll-schedule.ts'

export interface JobPorts extends Omit<JobServicePorts, 'now'> {
  readonly service: SessionService
  /** The share of this node's run capacity that is in use, from 0 to 1. */
  readonly busy: () => number
  /** Maximum wait of a request in seconds. */
  readonly waitMaxS: number
  readonly activeReaders?: ActiveReaders | undefined
  /** The clock, in Unix milliseconds. */
  readonly now?: () => number
  /** In [0, 1), as `Math.random`. */
  readonly random?: () => number
}

export interface JobTransport {
  readonly routes: readonly Route[]
  /** The body and headers of a 202 answer for a run. @throws ReplyError job_not_found */
  accept(session: string, run: string): Promise<{ readonly body: JobAccepted; readonly headers: Headers }>
  close(): void
}

/** Longest long poll in seconds; a longer `wait` is reduced to it. */
const WAIT_MAX_S = 60
/** Milliseconds of event loop lag above which this node counts as overloaded. */
const LAG_MS = 50
/** Range in seconds over which the next polls are spread when the node is overloaded. */
const BUSY_S = 5
/** A wait is shortened by up to this share, so that long polls that start together do not end together. */
const WAIT_SPREAD = 0.2

const GetQuery = z.object({
  since: Cursor.optional(),
  wait: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,3})?$/, 'must be a number of seconds')
    .optional(),
})

export function openJobTransport(ports: JobPorts): JobTransport {
  const { service, busy, now = Date.now, random = Math.random } = ports
  const jobService = new JobService({ ...ports, now })
  const schedule = new PollSchedule(random)
  const lag = new EventLoopLag()

  const pace = (waiting: WaitingJob): Pace => {
    const at = performance.now()
    return schedule.next(at, pollMeanMs(waiting, { expected: schedule.expected(at), busy: busy(), lagMs: lag.ms() }))
  }

  async function accept(session: string, run: string) {
    const { body, seconds } = await jobService.accepted({ session, run }, pace)
    return { body, headers: { Location: `/jobs/${body.id}`, ...retryAfter(seconds) } }
  }

  /** Hides jobs in other users' sessions. @throws ReplyError job_not_found */
  async function mustBeAdmitted(request: HttpRequest, id: string): Promise<void> {
    const name = parseJobId(id)
    if (name === undefined) throw new ReplyError('job_not_found')
    try {
      await service.admit(name.session, callerOf(request), 'read', true)
      ports.activeReaders?.notePoll(name.session)
    } catch (error) {
      const isForeign =
        error instanceof ReplyError && (error.code === 'forbidden' || error.code === 'session_not_found')
      throw isForeign ? new ReplyError('job_not_found') : error
    }
  }

  /**
   * Retry-After following a long poll: none after a real wait, one second if tokens arrive quickly, more under load.
   */
  function secondsAfterWait(waitedMs: number): number {
    const isOverloaded = lag.ms() >= LAG_MS
    return (waitedMs < 1000 ? 1 : 0) + (isOverloaded ? Math.ceil(BUSY_S * random()) : 0)
  }

  const create: Route = {
    method: 'POST',
    path: '/jobs',
    async handle(exchange) {
      const { request } = exchange
      const command = asSend(request, await request.json(JobRequest))
      if (exchange.draining !== undefined) throw new ReplyError('going_away')
      const { run, cursor, duplicate } = await service.send(command, callerOf(request, 'job'))
      // Every message has a run.
      const { body, headers } = await accept(command.session, run ?? '')
      const replayed = duplicate === true ? { 'Idempotent-Replayed': 'true' } : {}
      exchange.reply(202, body, { ...headers, 'Parley-Cursor': cursor, ...replayed })
    },
  }

  const get: Route = {
    method: 'GET',
    path: '/jobs/:id',
    async handle(exchange) {
      const { request, draining } = exchange
      const { since, wait = '0' } = request.queryAs(GetQuery)
      const waitMs = draining === undefined ? Math.min(Number(wait), WAIT_MAX_S, ports.waitMaxS) * 1000 : 0
      // Most polls do not wait, and a signal costs as much as the rest of the answer.
      const signal = waitMs > 0 ? abortOnDrain(exchange, random) : undefined
      const start = performance.now()
      const id = request.params.id ?? ''
      await mustBeAdmitted(request, id)
      const report = await jobService.report(id, {
        since,
        waitMs: waitMs * (1 - WAIT_SPREAD * random()),
        holds: parseIfNoneMatch(request.header('if-none-match')),
        user: request.user,
        signal,
        pace,
      })
      // The user may have been removed from the session during the wait.
      if (waitMs > 0) await mustBeAdmitted(request, id)
      const { hasEnded } = report
      const seconds = hasEnded || waitMs === 0 ? report.seconds : secondsAfterWait(performance.now() - start)
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
      const { session, run, hasEnded } = await jobService.find(id)
      if (!hasEnded) await service.cancel({ type: 'cancel', id: command, session, run }, callerOf(request, 'job'))
      const now = { user: request.user, since: undefined, waitMs: 0, holds: undefined, signal: undefined, pace }
      answer(exchange, await jobService.report(id, now))
    },
  }

  return { routes: [create, get, cancel], accept, close: () => lag.close() }
}

/**
 * The `send` command of a request for a job. Without a session the job gets its own, whose id is derived from the key
 * and the user, so that a repeated request finds it.
 */
function asSend(request: HttpRequest, { session, ...body }: JobRequest): Send {
  const key = idempotencyKeyOf(request)
  const newSession = key === undefined ? makeId('job') : `job_${digest(request.user, key)}`
  return { type: 'send', id: commandIdOf(request), session: session ?? newSession, ...body }
}

function answer(exchange: HttpExchange, { etag, body, seconds, live }: JobReport): void {
  // A client that has more to read should poll again at once.
  const headers = { ETag: etag, 'Cache-Control': 'private, no-cache', ...retryAfter(live ? seconds : 0) }
  if (body === undefined) exchange.reply(304, undefined, headers)
  else exchange.replyWith(200, body, { 'Content-Type': 'application/json', ...headers })
}

function retryAfter(seconds: number | undefined): Headers {
  return seconds === undefined ? {} : { 'Retry-After': String(seconds) }
}

/** The comparison of If-None-Match (RFC 9110, section 13.1.2). */
function parseIfNoneMatch(header: string | undefined): ((etag: string) => boolean) | undefined {
  if (header === undefined) return undefined
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return (etag) => tags.includes('*') || tags.includes(etag.replace(/^W\//, ''))
}

/** Aborted when the client disconnects, or at a random time while the node drains. */
function abortOnDrain(exchange: HttpExchange, random: () => number): AbortSignal {
  const waiting = new AbortController()
  const { signal } = exchange.request
  onAbort(signal, () => waiting.abort(signal.reason))
  exchange.onDrain(({ withinMs }) => {
    const timer = setTimeout(() => waiting.abort(), random() * withinMs)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
  return waiting.signal
}
