// POST /v1/responses, GET /v1/responses/{id} and POST …/cancel. A response is a run: its id names the run and its session, and
// all that is told of it follows from the log, so any node tells it, streams it, and goes on with it from any event.
import { type Context, makeId, ReplyError, type Send } from '@parley/protocol'
import { z } from 'zod'
import { lookUpRun } from '../../session/find-run.ts'
import { whenRunEnds } from '../../session/run-end.ts'
import type { FoundRun } from '../../session/run-report.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../command-id.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import type { ChatPorts } from './chat-routes.ts'
import { conversationUpTo } from './conversation.ts'
import { asOpenAiError } from './openai-error.ts'
import { ResponseEvents, type ResponseStep } from './response-events.ts'
import { headOf, messageOf, parseResponseId, type ResponseMarks, responseOf } from './response-object.ts'
import { checkResponse, ResponseRequest, responseMessage } from './response-request.ts'
import { RunPieces } from './run-pieces.ts'

const Query = z.object({
  stream: z.enum(['true', 'false'], { error: 'must be true or false' }).optional(),
  starting_after: z
    .string()
    .regex(/^\d{1,9}$/, 'must be the number of an event')
    .optional(),
})

export function responseRoutes(ports: ChatPorts): readonly Route[] {
  /** @throws ReplyError run_not_found */
  async function find(request: HttpRequest, id: string): Promise<{ readonly name: JobName; readonly found: FoundRun }> {
    const name = parseResponseId(id)
    const found = name === undefined ? undefined : await lookUp(ports, request, name)
    if (name === undefined || found === undefined) throw notFound()
    return { name, found }
  }

  function tell(exchange: HttpExchange, name: JobName, found: FoundRun): void {
    exchange.reply(200, responseOf(headOf(name, found, marksOf(found)), found))
  }

  const create: Route = {
    method: 'POST',
    path: '/v1/responses',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request, leaving } = exchange
      const asked = await request.json(ResponseRequest)
      checkResponse(asked)
      if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
      const command = await commandOf(ports, request, asked)
      const { run = '' } = await ports.service.send(command, callerOf(request))
      const name = { session: command.session, run }
      const found = await lookUp(ports, request, name)
      if (found === undefined) throw notFound()
      if (asked.stream === true) await stream(ports, exchange, name, found, -1)
      else if (asked.background === true) tell(exchange, name, found)
      else tell(exchange, name, (await whenRunEnds(ports, name.session, run, request.signal)) ?? found)
    },
  }

  const look: Route = {
    method: 'GET',
    path: '/v1/responses/:id',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const query = request.queryAs(Query)
      const { name, found } = await find(request, request.params.id ?? '')
      if (query.stream === 'true') await stream(ports, exchange, name, found, Number(query.starting_after ?? -1))
      else tell(exchange, name, found)
    },
  }

  const cancel: Route = {
    method: 'POST',
    path: '/v1/responses/:id/cancel',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const id = request.params.id ?? ''
      const { name, found } = await find(request, id)
      if (found.view.ended === undefined) {
        await ports.service.cancel({ type: 'cancel', id: commandIdOf(request), ...name }, callerOf(request))
      }
      tell(exchange, name, (await find(request, id)).found)
    },
  }

  return [create, look, cancel]
}

/** @returns undefined for a run that is not there, or in somebody else's session */
async function lookUp(
  { service, sessions, stores }: ChatPorts,
  request: HttpRequest,
  name: JobName,
): Promise<FoundRun | undefined> {
  try {
    await service.admit(name.session, callerOf(request), 'read')
  } catch (error) {
    if (error instanceof ReplyError && (error.code === 'forbidden' || error.code === 'session_not_found'))
      return undefined
    throw error
  }
  return sessions.with(name.session, (session) => lookUpRun(stores, session, name.run))
}

/** A response that goes on from the last one of a session is a message there; from an earlier one, a session of its own. */
async function commandOf(ports: ChatPorts, request: HttpRequest, asked: ResponseRequest): Promise<Send> {
  const key = idempotencyKeyOf(request)
  const own = key === undefined ? makeId('resp') : `resp_${digest(request.user, key)}`
  const id = commandIdOf(request)
  const previous = asked.previous_response_id ?? undefined
  const before = previous === undefined ? undefined : await previousOf(ports, request, previous)
  // The same request again finds its own message to be the last.
  const goesOn = before !== undefined && (isLast(before.found) || messageOf(before.found, id) !== undefined)
  const { content, context } = responseMessage(
    asked,
    before === undefined || goesOn ? [] : conversationUpTo(before.found),
  )
  return {
    type: 'send',
    id,
    session: goesOn ? before.name.session : own,
    content,
    model: asked.model,
    context: { ...context, metadata: asMetadata(asked) },
  }
}

async function previousOf(
  ports: ChatPorts,
  request: HttpRequest,
  id: string,
): Promise<{ readonly name: JobName; readonly found: FoundRun }> {
  const name = parseResponseId(id)
  const found = name === undefined ? undefined : await lookUp(ports, request, name)
  if (name === undefined || found === undefined) {
    throw new HttpError('bad_request', 'There is no such response.', { path: 'previous_response_id' })
  }
  return { name, found }
}

function isLast({ state, view }: FoundRun): boolean {
  return state.messages.at(-1)?.event.id === view.message
}

async function stream(
  ports: ChatPorts,
  exchange: HttpExchange,
  name: JobName,
  found: FoundRun,
  after: number,
): Promise<void> {
  const pieces = new RunPieces(name.run)
  const events = new ResponseEvents(headOf(name, found, marksOf(found)), after)
  let isCreated = false
  await ports.streams.begin(exchange, name, found.view.order, (event, out) => {
    const say = (step: ResponseStep): boolean => {
      for (const said of step.events) out.write(`event: ${said.type}\ndata: ${JSON.stringify(said)}\n\n`)
      if (step.over === true) out.end()
      return step.over === true
    }
    if (!isCreated) say(events.created())
    isCreated = true
    for (const piece of pieces.take(event)) if (say(events.take(piece))) return
  })
}

/** What the request said that its run does not need: it lies with the message. */
function asMetadata({
  background,
  previous_response_id: previous,
  metadata,
}: ResponseRequest): NonNullable<Context['metadata']> {
  const own = Object.entries(metadata ?? {}).map(([name, value]) => [`m.${name}`, value] as const)
  return {
    ...(background === true ? { background: 'true' } : {}),
    ...(previous === undefined || previous === null ? {} : { previous }),
    ...Object.fromEntries(own),
  }
}

function marksOf(found: FoundRun): ResponseMarks {
  const { background, previous = null, ...rest } = messageOf(found)?.context?.metadata ?? {}
  const own = Object.entries(rest).filter(([name]) => name.startsWith('m.'))
  return {
    background: background === 'true',
    previous,
    metadata: Object.fromEntries(own.map(([name, value]) => [name.slice(2), value])),
  }
}

function notFound(): ReplyError {
  return new ReplyError('run_not_found', 'There is no such response.')
}
