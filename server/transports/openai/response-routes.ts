// POST /v1/responses, GET and DELETE /v1/responses/{id}, GET …/input_items and POST …/cancel. A response is a run: its id contains the ids of the
// run and its session, and its content follows from the log. So any node can return it, stream it, and resume its
// stream from any event.
import { ReplyError } from '@parley/protocol'
import { z } from 'zod'
import type { FoundRun } from '../../session/run-report.ts'
import { commandIdOf, idempotencyKeyOf } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { upgradeRequired } from '../websocket/upgrade.ts'
import { InputItemsQuery, listInputItems } from './input-items.ts'
import { inputTokensRoute } from './input-tokens.ts'
import { asOpenAiError } from './openai-error.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { type FoundResponse, isAlone, lookUpResponse, mustFind } from './response-lookup.ts'
import { headOf, responseId, responseOf } from './response-object.ts'
import { checkResponse, ResponseRequest } from './response-request.ts'
import { sendResponse } from './response-send.ts'
import { streamResponse } from './response-stream.ts'
import { isFailedAtStart, replyFailed } from './run-failure.ts'
import { noticesOf } from './run-notices.ts'
import { untilRunAnswers, untilRunEnds } from './run-wait.ts'

const Query = z.object({
  stream: z.enum(['true', 'false'], { error: 'must be true or false' }).optional(),
  starting_after: z
    .string()
    .regex(/^\d{1,9}$/, 'must be the number of an event')
    .optional(),
})

/** The WebSocket's address, for a request that opens none. */
const upgrade: Route = {
  method: 'GET',
  path: '/v1/responses',
  errors: asOpenAiError,
  handle() {
    throw upgradeRequired()
  },
}

export function responseRoutes(ports: OpenAiPorts): readonly Route[] {
  const create: Route = {
    method: 'POST',
    path: '/v1/responses',
    bodyBytes: ports.bodyBytes,
    errors: asOpenAiError,
    async handle(exchange) {
      const { request, draining } = exchange
      const body = await request.json(ResponseRequest)
      checkResponse(body)
      if (draining !== undefined) throw new ReplyError('going_away')
      const name = await sendResponse(ports, request, body)
      const isBackground = body.background === true
      // A client that disconnects before it has the response's id can find the response only with its key.
      const done =
        isBackground || idempotencyKeyOf(request) !== undefined
          ? () => undefined
          : ports.abandoned.watch(exchange, name, callerOf(request, 'openai'), body.store !== false)
      const wait = body.stream === true ? untilRunAnswers : untilRunEnds
      const found = isBackground ? await mustFind(ports, name) : await wait(ports, exchange, name)
      if (found === undefined) return
      const isRefused = !isBackground && isFailedAtStart(found)
      if (body.stream === true && !isRefused) {
        await streamResponse(ports, exchange, { name, found }, { done })
        return
      }
      done()
      if (isRefused) replyFailed(exchange, found)
      else reply(exchange, name, found)
    },
  }

  const get: Route = {
    method: 'GET',
    path: '/v1/responses/:id',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const query = request.queryAs(Query)
      const response = await find(ports, request)
      const after = Number(query.starting_after ?? -1)
      if (query.stream === 'true') await streamResponse(ports, exchange, response, { after })
      else reply(exchange, response.name, response.found)
    },
  }

  const cancel: Route = {
    method: 'POST',
    path: '/v1/responses/:id/cancel',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const response = await find(ports, request)
      const { name } = response
      await end(ports, request, response)
      reply(exchange, name, await mustFind(ports, name))
    },
  }

  const remove: Route = {
    method: 'DELETE',
    path: '/v1/responses/:id',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const response = await find(ports, request)
      const { session, run } = response.name
      const caller = callerOf(request, 'openai')
      await ports.service.admit(session, caller, 'manage')
      if (!(await isAlone(ports, response))) {
        await end(ports, request, response)
        await ports.service.deleteResponse(session, caller, run)
      }
      // Another request may have deleted the others meanwhile.
      if (await isAlone(ports, response)) await ports.deleteSession(session, caller)
      exchange.reply(200, { id: responseId(response.name), object: 'response', deleted: true })
    },
  }

  const inputItems: Route = {
    method: 'GET',
    path: '/v1/responses/:id/input_items',
    errors: asOpenAiError,
    async handle(exchange) {
      const query = exchange.request.queryAs(InputItemsQuery)
      exchange.reply(200, await listInputItems(ports, await find(ports, exchange.request), query))
    },
  }

  return [create, upgrade, get, remove, inputItems, cancel, inputTokensRoute(ports)]
}

/** Cancels the run of a response that is being made. */
async function end(ports: OpenAiPorts, request: HttpRequest, { name, found }: FoundResponse): Promise<void> {
  if (found.record.ended !== undefined) return
  try {
    await ports.service.cancel({ type: 'cancel', id: commandIdOf(request), ...name }, callerOf(request, 'openai'))
  } catch (error) {
    // It has ended meanwhile.
    if (!(error instanceof ReplyError && error.code === 'no_active_run')) throw error
  }
}

function reply(exchange: HttpExchange, name: JobName, found: FoundRun): void {
  exchange.reply(200, responseOf(headOf(name, found), found), noticesOf(found.record.ended ?? {}).headers)
}

/** @throws ReplyError run_not_found */
async function find(ports: OpenAiPorts, request: HttpRequest): Promise<FoundResponse> {
  const response = await lookUpResponse(ports, request, request.params.id ?? '')
  if (response === undefined) throw new ReplyError('run_not_found', 'Response not found.')
  return response
}
