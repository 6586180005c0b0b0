// POST /v1/chat/completions. The client sends the whole conversation, so each request gets a session of its own. A
// disconnect cancels the run, unless the client can find it again by its key or has asked to store it.
import { makeId, ReplyError, type Send } from '@parley/protocol'
import { createdAt, type FoundRun } from '../../session/run-report.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import { formatJobId, type JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { ChatChunks, type ChatHead, chatCompletion } from './chat-chunks.ts'
import { ChatRequest, chatMessage } from './chat-request.ts'
import { resolveModel } from './model-routes.ts'
import { asOpenAiError } from './openai-error.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { isFailedAtStart, replyFailed } from './run-failure.ts'
import { noticesOf } from './run-notices.ts'
import { RunPieces } from './run-pieces.ts'
import { untilRunAnswers, untilRunEnds } from './run-wait.ts'

export function chatRoute(ports: OpenAiPorts): Route {
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    bodyBytes: ports.bodyBytes,
    errors: asOpenAiError,
    async handle(exchange) {
      const { request, draining } = exchange
      const body = await request.json(ChatRequest)
      const model = resolveModel(ports.models, body.model)
      if (draining !== undefined) throw new ReplyError('going_away')
      const caller = callerOf(request, 'openai')
      const command = commandOf(request, body, model)
      const { run = '' } = await ports.service.send(command, caller)
      const name = { session: command.session, run }
      const isKept = body.store === true || idempotencyKeyOf(request) !== undefined
      const done = isKept ? () => undefined : ports.abandoned.watch(exchange, name, caller)
      if (body.stream === true) await stream(ports, exchange, name, done, body)
      else await whole(ports, exchange, name, done)
    },
  }
}

function commandOf(request: HttpRequest, body: ChatRequest, model: string): Send {
  const key = idempotencyKeyOf(request)
  const session = key === undefined ? makeId('chat') : `chat_${digest(request.user, key)}`
  const { content, context } = chatMessage(body, model)
  return { type: 'send', id: commandIdOf(request), session, content, model, context }
}

/** @param done called when the run has ended */
async function whole(ports: OpenAiPorts, exchange: HttpExchange, name: JobName, done: () => void): Promise<void> {
  const found = await untilRunEnds(ports, exchange, name)
  if (found === undefined) return
  done()
  const completion = chatCompletion(headOf(name, found), found.record)
  if (completion === undefined) replyFailed(exchange, found)
  else exchange.reply(200, completion, noticesOf(found.record.ended ?? {}).headers)
}

async function stream(
  ports: OpenAiPorts,
  exchange: HttpExchange,
  name: JobName,
  done: () => void,
  { stream_options: options }: ChatRequest,
): Promise<void> {
  const found = await untilRunAnswers(ports, exchange, name)
  if (found === undefined) return
  if (isFailedAtStart(found)) {
    done()
    replyFailed(exchange, found)
    return
  }
  const pieces = new RunPieces(name.run)
  const chunks = new ChatChunks(headOf(name, found), options?.include_usage === true)
  await ports.streams.begin(exchange, name, found.record.order, (event, out) => {
    for (const piece of pieces.take(event)) {
      const step = chunks.take(piece)
      for (const chunk of step.chunks) out.write(`data: ${JSON.stringify(chunk)}\n\n`)
      if (piece.type === 'ended') done()
      if (step.end === undefined) continue
      if (step.end === 'failed') {
        // langchain4j takes a clean end for success, also after an error.
        out.abort()
        return
      }
      out.write('data: [DONE]\n\n')
      out.end()
      return
    }
  })
}

function headOf(name: JobName, found: FoundRun): ChatHead {
  const message = found.state.messages.find(({ event }) => event.id === found.record.message)
  return {
    id: `chatcmpl-${formatJobId(name)}`,
    created: Math.floor(createdAt(found) / 1000),
    model: message?.event.model ?? found.record.model ?? '',
  }
}
