// AgUiTransport: POST /v1/ag-ui and /v1/ag-ui/{agent}: the AG-UI protocol over server-sent events. A thread is a session. The same
// `runId` again follows the run again, which AG-UI itself does not have. A disconnect cancels the run after a while.
import { ERRORS, type ErrorCode, ReplyError } from '@parley/protocol'
import { lookUpRun } from '../../session/find-run.ts'
import { runsBelow } from '../../session/state/child-runs.ts'
import { findCall, findCommand } from '../../session/state/session-state.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpStream } from '../http/http-stream.ts'
import type { Route } from '../http/route.ts'
import type { JobName } from '../jobs/job-id.ts'
import type { OpenAiPorts } from '../openai/openai-ports.ts'
import { callerOf } from '../session-http/caller.ts'
import { AgUiEvents, type PlacedEvent } from './ag-ui-events.ts'
import { AgUiRequest, messageOf } from './ag-ui-request.ts'
import { interruptsOf, topCall } from './interrupts.ts'

export type AgUiPorts = Pick<OpenAiPorts, 'service' | 'stores' | 'sessions' | 'streams' | 'abandoned' | 'bodyBytes'>

/** Milliseconds after a call that waits for a person, in which further calls of the same step may come. */
const SETTLE_MS = 300

interface Followed {
  readonly name: JobName
  readonly isRepeated: boolean
  readonly interruptedAt?: number
}

export function agUiRoutes(ports: AgUiPorts): readonly Route[] {
  return ['/v1/ag-ui', '/v1/ag-ui/:agent'].map((path) => ({
    method: 'POST' as const,
    path,
    bodyBytes: ports.bodyBytes,
    handle: (exchange) => run(ports, exchange),
  }))
}

async function run(ports: AgUiPorts, exchange: HttpExchange): Promise<void> {
  const { request, draining } = exchange
  const body = await request.json(AgUiRequest)
  if (draining !== undefined) throw new ReplyError('going_away')
  const followed = await start(ports, exchange, body)
  const { name } = followed
  ports.abandoned.returned(name)
  const done = ports.abandoned.watch(exchange, name, callerOf(request, 'sse'), true)
  await follow(ports, exchange, body, followed, done)
}

/** Sends the message or the decisions, unless an earlier request with this id did. */
async function start(ports: AgUiPorts, exchange: HttpExchange, body: AgUiRequest): Promise<Followed> {
  const { request } = exchange
  const { threadId: session, runId: id } = body
  const caller = callerOf(request, 'sse')
  if (body.resume !== undefined && body.resume !== null && body.resume.length > 0) return resume(ports, exchange, body)
  const { isNew, run } = await ports.sessions.with(session, async ({ state }) => {
    const run = findCommand(state, id)?.run
    return { isNew: state.messages.length === 0, run }
  })
  if (run !== undefined) {
    await ports.service.admit(session, caller, 'read')
    return { name: { session, run }, isRepeated: true }
  }
  const { content, context } = messageOf(body, isNew)
  if (content.length === 0 && context.history === undefined)
    throw new HttpError('bad_request', 'must have a message after the last answer', { path: 'messages' })
  const agent = request.params.agent
  const sent = await ports.service.send(
    { type: 'send', id, session, content, context, ...(agent === undefined ? {} : { agent }) },
    caller,
  )
  return { name: { session, run: sent.run ?? '' }, isRepeated: sent.duplicate === true }
}

/** Applies the answers of people. The run then continues under the id of this one. */
async function resume(ports: AgUiPorts, exchange: HttpExchange, body: AgUiRequest): Promise<Followed> {
  const { threadId: session, runId } = body
  const caller = callerOf(exchange.request, 'sse')
  let followed: Followed | undefined
  await ports.service.admit(session, caller, 'read')
  for (const [at, { interruptId, status, payload }] of (body.resume ?? []).entries()) {
    const [call = '', question] = interruptId.split('.')
    const found = await ports.sessions.with(session, async ({ state }) => {
      const asked = findCall(state, call)
      return asked && { ...asked, top: topCall(state, asked) }
    })
    if (found === undefined) throw new ReplyError('call_not_found')
    const { top } = found
    const id = `${runId.slice(0, 100)}_${at}`
    const answer = (typeof payload === 'object' && payload !== null ? payload : {}) as Record<string, unknown>
    if (question === undefined) {
      const isApproved = status === 'resolved' && answer.approved !== false
      const reason = typeof answer.reason === 'string' ? { reason: answer.reason } : {}
      const decision = isApproved ? ('approve' as const) : ('deny' as const)
      await ports.service.decide({ type: 'tool.decide', id, session, call, decision, ...reason }, caller)
    } else {
      const action = status === 'resolved' ? ('accept' as const) : ('cancel' as const)
      const content = action === 'accept' ? { content: answer as never } : {}
      await ports.service.answer({ type: 'tool.answer', id, session, call, question, action, ...content }, caller)
    }
    const name = { session, run: top.run.id }
    const isRepeated = found.call.decidedBy === id || found.call.questions.some(({ answer }) => answer?.command === id)
    const interruptedAt = Math.max(followed?.interruptedAt ?? 0, top.call.next ?? top.run.next)
    followed =
      isRepeated || followed?.isRepeated === true ? { name, isRepeated: true } : { name, isRepeated, interruptedAt }
  }
  if (followed === undefined) throw new ReplyError('call_not_found')
  return followed
}

async function follow(
  ports: AgUiPorts,
  exchange: HttpExchange,
  body: AgUiRequest,
  { name, isRepeated, interruptedAt }: Followed,
  done: () => void,
): Promise<void> {
  const { request } = exchange
  const { session, run } = name
  const found = await ports.sessions.with(session, (replica) => lookUpRun(ports.stores, replica, run))
  if (found === undefined) throw new ReplyError('run_not_found')
  const lastEventId = request.header('last-event-id')
  const known = new Set(isRepeated ? [] : body.messages.flatMap(({ toolCallId = '' }) => toolCallId))
  const calls = new Set(found.record.calls.keys())
  const events = new AgUiEvents(body, run, { lastEventId, interruptedAt, known, calls })
  let isBegun = false
  let isOver = false
  let timer: NodeJS.Timeout | undefined

  const write = (out: HttpStream, placed: readonly PlacedEvent[]): void => {
    for (const { event, id } of placed) {
      out.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`)
    }
  }
  const end = (out: HttpStream, placed: readonly PlacedEvent[]): void => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    write(out, placed)
    done()
    out.end()
  }
  /** Ends the stream if nothing happens before people have answered. */
  const interrupt = async (out: HttpStream): Promise<void> => {
    const interrupts = await ports.sessions.with(session, async ({ state }) => interruptsOf(state, run))
    if (interrupts.length > 0) end(out, events.interrupt(interrupts))
  }
  const broken = (out: HttpStream, code: ErrorCode): void => {
    const { message, retryable } = ERRORS[code]
    end(out, events.broken(code, retryable ? `${message} Send the same runId again to follow the run.` : message))
  }
  await ports.streams.begin(
    exchange,
    name,
    found.record.order,
    (changes, out, event) => {
      if (isOver) return
      if (!isBegun) {
        isBegun = true
        write(out, events.begin(isRepeated))
        out.onClose(() => clearTimeout(timer))
      }
      for (const change of changes) {
        const placed = events.take(change)
        if (change.type === 'ended') return end(out, placed)
        write(out, placed)
      }
      if (event.type !== 'tool.called' && event.type !== 'tool.asked') return
      clearTimeout(timer)
      timer = setTimeout(() => {
        interrupt(out).catch(() => broken(out, 'unavailable'))
      }, SETTLE_MS)
    },
    { door: 'sse', broken, below: runsBelow(found.state, run).map(({ id }) => id) },
  )
}
