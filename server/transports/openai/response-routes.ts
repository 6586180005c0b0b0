// POST /v1/responses, GET /v1/responses/{id} and POST …/cancel. A response is a run: its id names the run and its session, and
// all that is told of it follows from the log, so any node tells it, streams it, and goes on with it from any event.
import { ReplyError } from '@parley/protocol'
import { z } from 'zod'
import type { FoundRun } from '../../session/run-report.ts'
import { commandIdOf, idempotencyKeyOf } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { asOpenAiError } from './openai-error.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { ResponseEvents, type ResponseStep } from './response-events.ts'
import { type FoundResponse, lookUpResponse, mustFind } from './response-lookup.ts'
import { headOf, responseOf } from './response-object.ts'
import { checkResponse, ResponseRequest } from './response-request.ts'
import { sendResponse } from './response-send.ts'
import { RunPieces } from './run-pieces.ts'
import { untilRunEnds } from './run-wait.ts'

const Query = z.object({
  stream: z.enum(['true', 'false'], { error: 'must be true or false' }).optional(),
  starting_after: z
    .string()
    .regex(/^\d{1,9}$/, 'must be the number of an event')
    .optional(),
})

export function responseRoutes(ports: OpenAiPorts): readonly Route[] {
  const create: Route = {
    method: 'POST',
    path: '/v1/responses',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request, leaving } = exchange
      const asked = await request.json(ResponseRequest)
      checkResponse(asked)
      if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
      const name = await sendResponse(ports, request, asked)
      const isKept = asked.store !== false || idempotencyKeyOf(request) !== undefined
      const done = isKept ? () => undefined : ports.abandoned.watch(exchange, name, callerOf(request, 'openai'))
      if (asked.stream === true) {
        await stream(ports, exchange, { name, found: await mustFind(ports, name) }, -1, done)
        return
      }
      const found = asked.background === true ? await mustFind(ports, name) : await untilRunEnds(ports, exchange, name)
      done()
      if (found !== undefined) tell(exchange, name, found)
    },
  }

  const look: Route = {
    method: 'GET',
    path: '/v1/responses/:id',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const query = request.queryAs(Query)
      const response = await find(ports, request)
      if (query.stream === 'true') await stream(ports, exchange, response, Number(query.starting_after ?? -1))
      else tell(exchange, response.name, response.found)
    },
  }

  const cancel: Route = {
    method: 'POST',
    path: '/v1/responses/:id/cancel',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const { name, found } = await find(ports, request)
      if (found.view.ended === undefined) {
        await ports.service.cancel({ type: 'cancel', id: commandIdOf(request), ...name }, callerOf(request, 'openai'))
      }
      tell(exchange, name, await mustFind(ports, name))
    },
  }

  return [create, look, cancel]
}

function tell(exchange: HttpExchange, name: JobName, found: FoundRun): void {
  exchange.reply(200, responseOf(headOf(name, found), found))
}

/** @throws ReplyError run_not_found */
async function find(ports: OpenAiPorts, request: HttpRequest): Promise<FoundResponse> {
  const response = await lookUpResponse(ports, request, request.params.id ?? '')
  if (response === undefined) throw new ReplyError('run_not_found', 'There is no such response.')
  return response
}

/** @param after number of the last event that its reader has; -1: none @param done called when the end was told */
async function stream(
  ports: OpenAiPorts,
  exchange: HttpExchange,
  { name, found }: FoundResponse,
  after: number,
  done: () => void = () => undefined,
): Promise<void> {
  const pieces = new RunPieces(name.run)
  const events = new ResponseEvents(headOf(name, found), after)
  let isCreated = false
  await ports.streams.begin(exchange, name, found.view.order, (event, out) => {
    const say = (step: ResponseStep): boolean => {
      for (const said of step.events) out.write(`event: ${said.type}\ndata: ${JSON.stringify(said)}\n\n`)
      if (step.over !== true) return false
      done()
      out.end()
      return true
    }
    if (!isCreated) say(events.created())
    isCreated = true
    for (const piece of pieces.take(event)) if (say(events.take(piece))) return
  })
}
