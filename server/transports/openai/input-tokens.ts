// POST /v1/responses/input_tokens: about how many tokens the model would get for a request. Nothing is stored, and no model is asked:
// the number is the server's own estimate, by which it also fits conversations into context windows.
import { type ContextMessage, ReplyError } from '@parley/protocol'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from '../session-http/caller.ts'
import { conversationUpTo } from './conversation.ts'
import { resolveItems } from './item-references.ts'
import { resolveModel } from './model-routes.ts'
import { asOpenAiError } from './openai-error.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { type FoundResponse, withWholeConversation } from './response-lookup.ts'
import { checkResponse, conversationIn, InputTokensRequest, responseMessage } from './response-request.ts'
import { previousOf } from './response-send.ts'

export function inputTokensRoute(ports: OpenAiPorts): Route {
  return {
    method: 'POST',
    path: '/v1/responses/input_tokens',
    bodyBytes: ports.bodyBytes,
    errors: asOpenAiError,
    async handle(exchange) {
      const { request } = exchange
      const { input, ...body } = await request.json(InputTokensRequest)
      const given = { ...body, input: input ?? [] }
      checkResponse(given)
      const model = resolveModel(ports.models, body.model)
      const resolved = { ...given, input: await resolveItems(ports, request, given.input) }
      const session = conversationIn(body)
      const before =
        session === undefined ? await previousOf(ports, request, given) : await lastResponse(ports, request, session)
      const earlier: ContextMessage[] =
        before === undefined ? [] : conversationUpTo(await withWholeConversation(ports, before), false)
      const { content, context } = responseMessage(resolved, earlier, (file) => ports.acceptsFile(model, file))
      const tokens = ports.inputTokens(model, content, context)
      exchange.reply(200, { object: 'response.input_tokens', input_tokens: tokens })
    },
  }
}

/** @returns undefined if the session does not exist or has no answer yet @throws ReplyError forbidden */
async function lastResponse(
  ports: OpenAiPorts,
  request: HttpRequest,
  session: string,
): Promise<FoundResponse | undefined> {
  try {
    await ports.service.admit(session, callerOf(request), 'read', true)
  } catch (error) {
    if (error instanceof ReplyError && error.code === 'session_not_found') return undefined
    throw error
  }
  return ports.sessions.with(session, async ({ state }) => {
    const last = state.messages.at(-1)?.event.id
    const record = [...state.ended.values(), ...state.open].findLast(({ message }) => message === last)
    return record === undefined ? undefined : { name: { session, run: record.id }, found: { state, record } }
  })
}
