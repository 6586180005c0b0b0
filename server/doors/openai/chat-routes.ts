// POST /v1/chat/completions: the caller brings the whole conversation, so each request has a session of its own. Who goes away
// in mid-answer is taken not to want it any more, unless it can come back to it by its key, or asked to have it stored.
import { HTTP_STATUS, makeId, parseCursor, ReplyError, type Send } from '@parley/protocol'
import { whenRunEnds } from '../../session/run-end.ts'
import { createdAt } from '../../session/run-report.ts'
import type { SessionStores } from '../../session/session.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionService } from '../../session/session-service.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { Route } from '../http/route.ts'
import { formatJobId, type JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { ChatChunks, type ChatHead, chatCompletion } from './chat-chunks.ts'
import { ChatRequest, chatMessage, checkMessages } from './chat-request.ts'
import { asOpenAiError, openAiError } from './openai-error.ts'
import { RunPieces } from './run-pieces.ts'
import type { RunStreams } from './run-streams.ts'

export interface ChatPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly streams: RunStreams
}

/** Milliseconds for which a run goes on whose caller has left. */
const GRACE_MS = 5_000

export function chatRoute(ports: ChatPorts): Route {
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    errors: asOpenAiError,
    async handle(exchange) {
      const { request, leaving } = exchange
      const asked = await request.json(ChatRequest)
      checkMessages(asked)
      if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
      const command = commandOf(request, asked)
      const { run = '', cursor } = await ports.service.send(command, callerOf(request))
      const name = { session: command.session, run }
      const cares = asked.store === true || idempotencyKeyOf(request) !== undefined
      const done = cares ? () => undefined : cancelWhenLeft(ports, request, name)
      if (asked.stream === true)
        await stream(ports, exchange, { ...name, from: parseCursor(cursor)?.seq ?? 0, done }, asked)
      else await whole(ports, exchange, { ...name, done }, asked)
    },
  }
}

function commandOf(request: HttpRequest, asked: ChatRequest): Send {
  const key = idempotencyKeyOf(request)
  const session = key === undefined ? makeId('chat') : `chat_${digest(request.user, key)}`
  const { content, context } = chatMessage(asked)
  return { type: 'send', id: commandIdOf(request), session, content, model: asked.model, context }
}

interface Begun extends JobName {
  /** To be called when the run is known to have ended. */
  readonly done: () => void
}

async function whole(ports: ChatPorts, exchange: HttpExchange, name: Begun, { model }: ChatRequest): Promise<void> {
  const { request } = exchange
  const found = await whenRunEnds(ports, name.session, name.run, request.signal)
  if (found === undefined) throw new ReplyError('run_not_found')
  if (found.view.ended !== undefined) name.done()
  const completion = chatCompletion(headOf(name, createdAt(found), model), found.view)
  if (completion !== undefined) exchange.reply(200, completion)
  else if (found.view.ended !== undefined) {
    const { code, message } = found.view.ended.error ?? { code: 'internal', message: '' }
    const status = HTTP_STATUS[code]
    const error = openAiError({ code, status, title: message, detail: undefined, path: undefined })
    exchange.reply(status, { error })
  }
}

async function stream(
  ports: ChatPorts,
  exchange: HttpExchange,
  name: Begun & { readonly from: number },
  { model, stream_options: options }: ChatRequest,
): Promise<void> {
  const pieces = new RunPieces(name.run)
  const chunks = new ChatChunks(headOf(name, Date.now(), model), options?.include_usage === true)
  await ports.streams.begin(exchange, name, name.from, (event, out) => {
    for (const piece of pieces.take(event)) {
      const step = chunks.take(piece)
      for (const chunk of step.chunks) out.write(`data: ${JSON.stringify(chunk)}\n\n`)
      if (piece.type === 'ended') name.done()
      if (step.over === undefined) continue
      if (step.over === 'done') out.write('data: [DONE]\n\n')
      out.end()
      return
    }
  })
}

function headOf(name: JobName, timeMs: number, model: string): ChatHead {
  return { id: `chatcmpl-${formatJobId(name)}`, created: Math.floor(timeMs / 1000), model }
}

/** Nobody can come back to it: what it goes on saying is paid for in vain. @returns to be called when it has ended */
function cancelWhenLeft({ service }: ChatPorts, request: HttpRequest, { session, run }: JobName): () => void {
  const caller = callerOf(request)
  let isDone = false
  const cancel = (): void => {
    service.cancel({ type: 'cancel', id: makeId('cmd'), session, run }, caller).catch((error: unknown) => {
      // It goes on to its end, which is bounded, too.
      if (!(error instanceof ReplyError)) throw error
    })
  }
  const left = (): void => {
    if (!isDone) setTimeout(cancel, GRACE_MS).unref()
  }
  request.signal.addEventListener('abort', left, { once: true })
  return () => {
    isDone = true
  }
}
