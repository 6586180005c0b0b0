// Routes of the commands with an immediate answer: cancel and tool calls, and the connection that declares tools. Each
// does the same as the WebSocket frame of that name. The Idempotency-Key becomes the command's id.
import {
  AnswerRequest,
  CancelRequest,
  ClaimRequest,
  type CommandAnswer,
  type ConnectionAnswer,
  ConnectionRequest,
  DecisionRequest,
  Id,
  ResultRequest,
} from '@parley/protocol'
import type { Receipt } from '../../session/commands/caller.ts'
import { commandIdOf } from '../http/command-id.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

const SESSION = '/v1/sessions/:session'
const CALL = `${SESSION}/tools/:call`

export function commandRoutes({ service }: SessionHttpPorts): readonly Route[] {
  return [
    command(`${SESSION}/cancel`, async (request, target) => {
      const body = await request.json(CancelRequest)
      return service.cancel({ type: 'cancel', ...target, ...body }, callerOf(request, 'request'))
    }),
    command(`${CALL}/claim`, async (request, target) => {
      await request.json(ClaimRequest)
      return service.claim({ type: 'tool.claim', ...target, call: request.paramAs('call', Id) }, callerOf(request))
    }),
    command(`${CALL}/result`, async (request, target) => {
      const call = request.paramAs('call', Id)
      const body = await request.json(ResultRequest)
      return service.result({ type: 'tool.result', ...target, call, ...body }, callerOf(request))
    }),
    command(`${CALL}/decision`, async (request, target) => {
      const call = request.paramAs('call', Id)
      const body = await request.json(DecisionRequest)
      return service.decide({ type: 'tool.decide', ...target, call, ...body }, callerOf(request))
    }),
    command(`${CALL}/answer`, async (request, target) => {
      const call = request.paramAs('call', Id)
      const body = await request.json(AnswerRequest)
      return service.answer({ type: 'tool.answer', ...target, call, ...body }, callerOf(request))
    }),
  ]
}

export function connectionRoutes({ connections }: SessionHttpPorts): readonly Route[] {
  const path = `${SESSION}/connections/:connection`
  const callerFor = (request: HttpRequest) => {
    const { user, role } = request
    return { connection: request.paramAs('connection', Id), user, role, roams: true } as const
  }
  return [
    {
      method: 'PUT',
      path,
      async handle(exchange) {
        const { request } = exchange
        const session = request.paramAs('session', Id)
        const caller = callerFor(request)
        const { tools } = await request.json(ConnectionRequest)
        await connections.arrive(session, caller, tools)
        const answer: ConnectionAnswer = { connection: caller.connection, ttlMs: connections.ttlMs }
        exchange.reply(200, answer)
      },
    },
    {
      method: 'DELETE',
      path,
      handle(exchange) {
        const { request } = exchange
        connections.leave(request.paramAs('session', Id), callerFor(request))
        exchange.reply(204)
      },
    },
  ]
}

function command(
  path: string,
  apply: (request: HttpRequest, target: { readonly id: string; readonly session: string }) => Promise<Receipt>,
): Route {
  return {
    method: 'POST',
    path,
    async handle(exchange) {
      const { request } = exchange
      const target = { id: commandIdOf(request), session: request.paramAs('session', Id) }
      exchange.reply(200, asAnswer(target, await apply(request, target)))
    },
  }
}

function asAnswer(
  target: { readonly id: string; readonly session: string },
  { cursor, run, until, duplicate }: Receipt,
): CommandAnswer {
  return {
    ...target,
    cursor,
    ...(run === undefined ? {} : { run }),
    ...(until === undefined ? {} : { until }),
    ...(duplicate === undefined ? {} : { duplicate }),
  }
}
