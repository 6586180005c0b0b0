// ParleyChatTransport: lets `useChat` of the AI SDK talk to Parley's sessions. A chat's id is a session's id. The SDK's
// client reconnects and falls back to other transports below it, so a chat notices neither.
import {
  answerOf,
  isEnded,
  type ParleyClient,
  ParleyError,
  type Policy,
  parentOfNext,
  type Reply,
  type SendOptions,
  type SessionView,
} from '@parley/client'
import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai'
import type { AnswerChunks } from './answer-chunks.ts'
import { ChatState } from './chat-state.ts'
import { type ChatTool, ChatTools } from './chat-tools.ts'
import { type Answers, loadAnswers, loadedAnswers } from './loading-answers.ts'
import { until } from './until.ts'

export interface ParleyChatTransportOptions extends MessageOptions {
  readonly client: ParleyClient
  /** The tools that the model may run on this machine. */
  readonly tools?: readonly ChatTool[]
}

/** The transport's options apply to all messages; `sendMessage(message, { body })` sets them for one. */
export interface MessageOptions {
  /** What a message does to the answer that still streams. Default `interrupt`. */
  readonly policy?: Policy
  /** A model or agent that the server offers. */
  readonly model?: string
  readonly agent?: string
}

/** What `useChat` returns, or the part of it that `follow` uses. */
export interface FollowedChat<M extends UIMessage> {
  readonly id: string
  readonly status: 'submitted' | 'streaming' | 'ready' | 'error'
  readonly messages: M[]
  setMessages(update: (messages: M[]) => M[]): void
  resumeStream(): Promise<void>
}

type SendRequest<M extends UIMessage> = Parameters<ChatTransport<M>['sendMessages']>[0]
type ReconnectRequest<M extends UIMessage> = Parameters<ChatTransport<M>['reconnectToStream']>[0]
type Chunks = ReadableStream<UIMessageChunk>

/**
 * A transport for `useChat` of `ai` 6 and 7.
 * @example
 * const transport = new ParleyChatTransport({ client: new ParleyClient({ url: 'https://chat.example.com' }) })
 * const chat = useChat({ id: 'trip', transport })
 * useEffect(() => transport.follow(chat), [chat.id, chat.status])
 */
export class ParleyChatTransport<M extends UIMessage = UIMessage> implements ChatTransport<M> {
  /** A resumed stream begins with the start of the answer. */
  readonly resumeStreamIsReplay = true
  readonly #client: ParleyClient
  readonly #tools: ChatTools
  readonly #options: MessageOptions
  readonly #chats = new Map<string, ChatState>()

  constructor({ client, tools = [], ...options }: ParleyChatTransportOptions) {
    this.#client = client
    this.#tools = new ChatTools(client, tools)
    this.#options = options
    // In the background. If it fails, the first request tries again.
    loadAnswers().catch(() => undefined)
  }

  /** Called by the chat. @throws ParleyError if the server refuses the message */
  readonly sendMessages = async (request: SendRequest<M>): Promise<Chunks> => {
    const chat = this.#chat(request.chatId)
    const ended = chat.begin()
    try {
      return await this.#request(chat, request, await loadAnswers())
    } finally {
      ended()
    }
  }

  /** Called by the chat. @returns null if no answer is being generated */
  readonly reconnectToStream = async ({ chatId, abortSignal }: ReconnectRequest<M>): Promise<Chunks | null> => {
    const chat = this.#chat(chatId)
    const isLatest = chat.newReconnect()
    const ended = chat.begin()
    try {
      const answers = await loadAnswers()
      const view = await until(chat.session, ({ status }) => status === 'live', abortSignal)
      const run = shownRun(view)
      if (run === undefined || !isLatest()) return null
      const answer = this.#answer(answers, run)
      abortSignal?.addEventListener('abort', () => {
        // In StrictMode a second reconnect aborts the first one, in the same turn of the event loop. That is not a stop.
        queueMicrotask(() => {
          if (isLatest()) chat.session.cancel(run).catch(ignoreRefusal)
        })
      })
      return this.#stream(answers, chat, abortSignal, () => answer)
    } finally {
      ended()
    }
  }

  /**
   * Loads the conversation, for `useChat({ id, messages, resume: true })`. Without an answer that is being generated:
   * `resume` shows that.
   * @throws ParleyError if the session cannot be read
   * @example
   * const messages = await transport.messages('trip')
   */
  readonly messages = async (chatId: string): Promise<M[]> => {
    const chat = this.#chat(chatId)
    const { toUIMessages } = await loadAnswers()
    const view = await until(chat.session, ({ status }) => status === 'live')
    return toUIMessages<M>(view, chat.names.uiId, (run) => !isEnded(run))
  }

  /**
   * Keeps a chat equal to its session: loads the conversation, resumes an answer, and shows what other people and other
   * devices send. Call it again when `status` changes. It replaces `resume: true`.
   * @returns a function that stops following
   * @example
   * useEffect(() => transport.follow(chat), [chat.id, chat.status])
   */
  readonly follow = (followed: FollowedChat<M>): (() => void) => {
    const { id, status } = followed
    if (status === 'submitted' || status === 'streaming') return () => undefined
    const chat = this.#chat(id)
    const { session } = chat
    let seen: unknown
    let isStopped = false
    let isLoading = false
    const update = (): void => {
      const view = session.state
      if (view.status !== 'live' || chat.isBusy || isStopped || isLoading) return
      const answers = loadedAnswers()
      if (answers === undefined) {
        isLoading = true
        const loaded = (): void => {
          isLoading = false
        }
        loadAnswers()
          .finally(loaded)
          .then(update, () => undefined)
        return
      }
      const run = shownRun(view)
      const isWaiting = run !== undefined && chat.parked?.run === run && chat.parked.isCurrent(view)
      const resumes = run !== undefined && !isWaiting
      // A refused message, or a failed answer, stays in sight until something new happens.
      if (!resumes && (view.turns === seen || status === 'error')) return
      seen = view.turns
      const wanted = answers.toUIMessages<M>(view, chat.names.uiId, (other) => resumes && other.id === run)
      const next = (current: M[]): M[] => {
        const shown = resumes ? withAnswer(current, wanted, run) : wanted
        return answers.reconcile(current, shown, ({ id }) => id === run) as M[]
      }
      // Setting equal messages would render the chat, and an effect that depends on the whole chat would never rest.
      if (next(followed.messages) !== followed.messages) followed.setMessages(next)
      if (!resumes) return
      chat.parked = undefined
      void followed.resumeStream()
    }
    update()
    const unsubscribe = session.subscribe(update)
    return () => {
      isStopped = true
      unsubscribe()
    }
  }

  /** Ends the answer that is generated now, also while it waits for an approval, when the chat's `stop` has no effect. */
  readonly cancel = async (chatId: string): Promise<void> => {
    const chat = this.#chat(chatId)
    const run = shownRun(chat.session.state)
    if (run !== undefined) await chat.session.cancel(run)
  }

  /** Closes the sessions that this transport has opened. `ai` 7 calls it when a chat is disposed. */
  readonly close = (): void => {
    for (const { session } of this.#chats.values()) void session.close()
    this.#chats.clear()
  }

  async #request(chat: ChatState, request: SendRequest<M>, answers: Answers): Promise<Chunks> {
    const { messages, abortSignal } = request
    const last = messages.at(-1)
    if (last === undefined) throw new TypeError('There is no message to send.')
    if (last.role === 'assistant') return this.#continue(chat, last, abortSignal, answers)
    const reply = await this.#send(chat, last, request, answers)
    const id = reply.command
    chat.names.set(last.id, id)
    const stop = (): void => {
      reply.accepted.then(({ run }) => chat.session.cancel(run)).catch(ignoreRefusal)
    }
    if (abortSignal?.aborted === true) stop()
    abortSignal?.addEventListener('abort', stop, { once: true })
    await Promise.race([reply.accepted, aborted(abortSignal)])
    let answer: AnswerChunks | undefined
    return this.#stream(answers, chat, abortSignal, (view) => {
      const run = answerIdOf(view, id)
      if (run === undefined || run === 'taken') return run
      if (answer?.run !== run) answer = this.#answer(answers, run)
      return answer
    })
  }

  #chat(id: string): ChatState {
    // After the session was closed, the client returns another one.
    const session = this.#client.session(id)
    const existing = this.#chats.get(id)
    if (existing?.session === session) return existing
    for (const tool of this.#tools.tools) session.addTool(tool)
    const chat = new ChatState(session, existing?.names)
    this.#chats.set(id, chat)
    return chat
  }

  #answer(answers: Answers, run: string): AnswerChunks {
    return new answers.AnswerChunks(run, (call) => this.#tools.owner(call))
  }

  #stream(
    { answerStream }: Answers,
    chat: ChatState,
    signal: AbortSignal | undefined,
    find: (view: SessionView) => AnswerChunks | 'taken' | undefined,
  ): Chunks {
    const end = chat.begin()
    const ended = (parked?: AnswerChunks): void => {
      end()
      if (parked !== undefined) chat.parked = parked
    }
    return answerStream({ session: chat.session, tools: this.#tools, find, ended, signal })
  }

  async #send(
    chat: ChatState,
    message: M,
    { trigger, messageId, body, abortSignal }: SendRequest<M>,
    { contentOf }: Answers,
  ): Promise<Reply> {
    const { session, names } = chat
    const { policy = 'interrupt', ...options } = { ...this.#options, ...messageOptions(body) }
    const content = contentOf(message)
    if (trigger === 'regenerate-message' || messageId === message.id) {
      // Both need the message's place in the session.
      const view = await until(session, ({ status }) => status === 'live', abortSignal)
      const known = names.of(message.id)
      if (view.messages.some(({ id }) => id === known)) return session.edit(known, content, options)
    }
    const { activeRun } = session.state
    const parent = parentOfNext(session.state)
    const sent: SendOptions = {
      ...options,
      // A message that is sent again, perhaps by the next page, takes effect once.
      ...(ID.test(message.id) ? { id: message.id } : {}),
      ...(parent === undefined ? {} : { parent }),
    }
    if (activeRun !== undefined && policy === 'interrupt') return session.redirect(content, sent)
    return session.send(content, activeRun === undefined ? sent : { ...sent, policy })
  }

  /** Sends the chat's decisions and tool outputs, and continues the answer that waited for them. */
  async #continue(chat: ChatState, message: M, signal: AbortSignal | undefined, answers: Answers): Promise<Chunks> {
    const { session } = chat
    const view = await until(session, ({ status }) => status === 'live', signal)
    const run = view.runs.get(message.id)
    if (run === undefined) throw new ParleyError('run_not_found', `The session has no answer ${message.id}.`)
    let answer = chat.parked
    if (answer?.run !== run.id) {
      answer = this.#answer(answers, run.id)
      // The chat shows this much already.
      answer.take(view)
    }
    chat.parked = undefined
    for (const part of message.parts) if ('toolCallId' in part) await this.#settle(chat, part, signal)
    signal?.addEventListener('abort', () => void session.cancel(run.id).catch(ignoreRefusal), { once: true })
    return this.#stream(answers, chat, signal, () => answer)
  }

  async #settle({ session }: ChatState, part: ToolPart, signal: AbortSignal | undefined): Promise<void> {
    const { toolCallId: id, state, approval, output, errorText } = part
    if (state === 'output-available') this.#tools.answer(id, { output })
    if (state === 'output-error') this.#tools.answer(id, { errorText: errorText ?? 'The tool failed.' })
    if (state !== 'approval-responded' || session.state.calls.get(id)?.status !== 'deciding') return
    await session.decide(id, approval?.approved === true ? 'approve' : 'deny', approval?.reason).catch((error) => {
      // Another person was faster, or the call has ended: the answer shows it.
      if (!(error instanceof ParleyError) || !SETTLED.has(error.code)) throw error
    })
    await until(session, ({ calls }) => calls.get(id)?.status !== 'deciding', signal)
  }
}

/** The parts of tool parts that a chat may have changed. */
interface ToolPart {
  readonly toolCallId: string
  readonly state?: string
  readonly approval?: { readonly approved?: boolean; readonly reason?: string }
  readonly output?: unknown
  readonly errorText?: string | undefined
}

const ID = /^[\w-]{1,128}$/
const SETTLED: ReadonlySet<string> = new Set(['already_decided', 'call_ended', 'call_not_found'])

/** A stop may come after the end, and a message may be refused: the chat shows both. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof ParleyError)) throw error
}

/** The run of the shown conversation that generates now, or is next to. */
function shownRun({ activeRun, turns }: SessionView): string | undefined {
  return turns.some(({ run }) => run?.id === activeRun) ? activeRun : undefined
}

/** The run that answers a message; `taken`: the message steered another run, or that run ended before. */
function answerIdOf(view: SessionView, id: string): string | 'taken' | undefined {
  const message = view.messages.findLast((each) => each.id === id)
  if (message === undefined) return undefined
  const own = answerOf(view, message)
  if (own !== undefined) return own.id
  const steered = view.runs.get(message.run)
  if (steered === undefined) return undefined
  return steered.steered.includes(id) || (isEnded(steered) && steered.status !== 'completed') ? 'taken' : undefined
}

function messageOptions(body: object = {}): MessageOptions {
  const { policy, model, agent } = body as MessageOptions
  return {
    ...(policy === undefined ? {} : { policy }),
    ...(model === undefined ? {} : { model }),
    ...(agent === undefined ? {} : { agent }),
  }
}

/** The wanted messages, and the chat's own answer of a run in its place. */
function withAnswer<M extends UIMessage>(current: readonly M[], wanted: readonly M[], run: string): readonly M[] {
  const at = current.findIndex(({ id }) => id === run)
  const own = current[at]
  const before = current[at - 1]?.id
  const place = wanted.findIndex(({ id }) => id === before)
  return own === undefined || place < 0 ? wanted : wanted.toSpliced(place + 1, 0, own)
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(new DOMException('The message was stopped.', 'AbortError'))
    if (signal?.aborted === true) abort()
    signal?.addEventListener('abort', abort, { once: true })
  })
}
