// POST /v1/chat/completions and /v1/completions. The client sends the whole conversation, so each request gets a session
// of its own. A disconnect cancels the run, unless the client can find it again: by its key, or by the id of a stored stream.
import { makeId, ReplyError, type Send } from '@parley/protocol'
import { createdAt, type FoundRun } from '../../session/run-report.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import { formatJobId, type JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { ChatChunks, type ChatHead, chatCompletion } from './chat-chunks.ts'
import { CHAT_FIELDS, ChatRequest, chatMessage } from './chat-request.ts'
import { resolveModel } from './model-routes.ts'
import { asOpenAiError } from './openai-error.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { checkOptions } from './request-fields.ts'
import { asMetadata } from './response-object.ts'
import { withMetadata } from './response-send.ts'
import { isFailedAtStart, replyFailed } from './run-failure.ts'
import { noticesOf } from './run-notices.ts'
import { untilRunAnswers, untilRunEnds } from './run-wait.ts'
import { asChatRequest, asTextCompletion, CompletionRequest } from './text-completion.ts'

/** What differs between the two APIs. */
interface Format {
  readonly path: string
  readonly idPrefix: string
  read(request: HttpRequest): Promise<ChatRequest>
  /** @param completion a completion or a chunk @returns undefined for a chunk that the API does not have */
  write(completion: object): object | undefined
}

const CHAT: Format = {
  path: '/v1/chat/completions',
  idPrefix: 'chatcmpl-',
  read: (request) => request.json(ChatRequest),
  write: (completion) => completion,
}

const TEXT: Format = {
  path: '/v1/completions',
  idPrefix: 'cmpl-',
  read: async (request) => asChatRequest(await request.json(CompletionRequest)),
  write: asTextCompletion,
}

export function completionRoutes(ports: OpenAiPorts): readonly Route[] {
  return [CHAT, TEXT].map((format) => ({
    method: 'POST',
    path: format.path,
    bodyBytes: ports.bodyBytes,
    errors: asOpenAiError,
    async handle(exchange) {
      const { request, draining } = exchange
      const body = await format.read(request)
      const model = resolveModel(ports.models, body.model)
      if (draining !== undefined) throw new ReplyError('going_away')
      const caller = callerOf(request, 'openai')
      const command = commandOf(ports, request, body, model)
      checkOptions(model, ports.unsupported(model, command.context?.sampling ?? {}), CHAT_FIELDS)
      const hasKey = idempotencyKeyOf(request) !== undefined
      const isStored = body.store !== false
      const sent = hasKey ? ports.service.send(command, caller) : ports.abandoned.send(command, caller, isStored)
      const { run = '' } = await sent
      const name = { session: command.session, run }
      const done = hasKey ? () => undefined : ports.abandoned.watch(exchange, name, caller, isStored)
      const answer = { exchange, name, done, format }
      if (body.stream === true) await stream(ports, answer, body)
      else await whole(ports, answer)
    },
  }))
}

interface Answer {
  readonly exchange: HttpExchange
  readonly name: JobName
  /** Called when the run has ended, or when the client has the id of a completion that it asked to store. */
  readonly done: () => void
  readonly format: Format
}

function commandOf(ports: OpenAiPorts, request: HttpRequest, body: ChatRequest, model: string): Send {
  const key = idempotencyKeyOf(request)
  const session = key === undefined ? makeId('chat') : `chat_${digest(request.user, key)}`
  const { content, context } = chatMessage(body, model, (file) => ports.acceptsFile(model, file))
  const metadata = asMetadata({ metadata: body.metadata, store: body.store })
  return { type: 'send', id: commandIdOf(request), session, content, model, context: withMetadata(context, metadata) }
}

async function whole(ports: OpenAiPorts, { exchange, name, done, format }: Answer): Promise<void> {
  const found = await untilRunEnds(ports, exchange, name)
  if (found === undefined) return
  done()
  const completion = chatCompletion(headOf(format, name, found), found.record)
  if (completion === undefined) replyFailed(exchange, found)
  else exchange.reply(200, format.write(completion), noticesOf(found.record.ended ?? {}).headers)
}

async function stream(
  ports: OpenAiPorts,
  { exchange, name, done, format }: Answer,
  { stream_options: options, store }: ChatRequest,
): Promise<void> {
  const found = await untilRunAnswers(ports, exchange, name)
  if (found === undefined) return
  const head = headOf(format, name, found)
  // An answer that was filtered or cut before its first output is an answer, too.
  if (isFailedAtStart(found) && chatCompletion(head, found.record) === undefined) {
    done()
    replyFailed(exchange, found)
    return
  }
  const chunks = new ChatChunks(head, options?.include_usage === true)
  await ports.streams.begin(exchange, name, found.record.order, (changes, out) => {
    for (const change of changes) {
      const step = chunks.take(change)
      for (const chunk of step.chunks) {
        const written = format.write(chunk)
        if (written === undefined) continue
        out.write(`data: ${JSON.stringify(written)}\n\n`)
        if (store === true) done()
      }
      if (change.type === 'ended') done()
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

function headOf({ idPrefix }: Format, name: JobName, found: FoundRun): ChatHead {
  const message = found.state.messages.find(({ event }) => event.id === found.record.message)
  return {
    id: idPrefix + formatJobId(name),
    created: Math.floor(createdAt(found) / 1000),
    model: message?.event.model ?? found.record.model ?? '',
  }
}
