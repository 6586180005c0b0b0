// CallQuestions: the questions that a running server tool asks a person, one at a time. Each is an entry of the log, and so is its
// answer. If the tool is executed again after its node has stopped, and asks the same questions, it gets the answers that people gave,
// and they can still answer the open one.
import { FormSchema, LIMITS, makeId, wellFormed } from '@parley/protocol'
import { z } from 'zod'
import { compareAndAppend } from '../session/commands/compare-and-append.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { type CallState, openQuestion, type QuestionState } from '../session/state/call-state.ts'
import { findCall } from '../session/state/session-state.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import { type Answer, type Question, ToolFailure } from '../tool/define-tool.ts'
import { changed, deadlines } from './call-wait.ts'

export interface CallQuestionsOptions {
  readonly log: SessionLog
  /** Milliseconds for a person to answer. */
  readonly approvalMs: number
}

type Asked = Pick<QuestionState, 'question' | 'message' | 'schema' | 'until'>

export class CallQuestions {
  readonly #options: CallQuestionsOptions
  readonly #session: SessionReplica
  readonly #call: string
  /** Those of an earlier execution that this one has not repeated yet. */
  #earlier: readonly Asked[]
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: CallQuestionsOptions, session: SessionReplica, call: CallState) {
    this.#options = options
    this.#session = session
    this.#call = call.id
    this.#earlier = call.questions
  }

  /**
   * Asks, and waits for the answer.
   * @param signal aborts when the call has ended
   * @throws ToolFailure if the question is invalid, or one too many; ReplyError if the log is not available; the signal's reason
   */
  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const mine = this.#turn.then(() => this.#ask(question, signal))
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #ask(
    { message, schema, timeoutMs = this.#options.approvalMs }: Question,
    signal: AbortSignal,
  ): Promise<Answer> {
    signal.throwIfAborted()
    const form = formOf(schema)
    const text = wellFormed(message)
    if (text === '' || text.length > LIMITS.questionChars) {
      throw new ToolFailure(`The message of a question must have 1 to ${LIMITS.questionChars} characters.`)
    }
    const [earlier, ...rest] = this.#earlier
    const isSame = earlier?.message === text && JSON.stringify(earlier.schema) === JSON.stringify(form)
    this.#earlier = isSame ? rest : []
    const until = Date.now() + Math.min(timeoutMs, this.#options.approvalMs)
    const asked = isSame
      ? earlier
      : await this.#append({ question: makeId('q'), message: text, schema: form, until }, signal)
    return this.#answer(asked, signal)
  }

  async #append(asked: Asked, signal: AbortSignal): Promise<Asked> {
    const entry = await compareAndAppend(this.#options.log, this.#session, (state) => {
      const found = findCall(state, this.#call)
      if (found === undefined || found.run.phase === 'ended' || found.call.result !== undefined) return undefined
      const { call } = found
      if (call.questions.length >= LIMITS.questions) {
        throw new ToolFailure(`A tool may ask at most ${LIMITS.questions} questions during one call.`)
      }
      const event = { type: 'tool.asked' as const, run: call.run, call: call.id, ...asked }
      return { subject: `tool.${call.id}`, expect: call.last, event }
    })
    if (entry === undefined) throw ended(signal)
    await this.#session.reached(entry.seq)
    return asked
  }

  async #answer({ question, until }: Asked, signal: AbortSignal): Promise<Answer> {
    const remaining = deadlines()
    for (;;) {
      signal.throwIfAborted()
      const found = findCall(this.#session.state, this.#call)
      if (found === undefined || found.run.phase === 'ended' || found.call.result !== undefined) throw ended(signal)
      const answer = found.call.questions.find((asked) => asked.question === question)?.answer
      if (answer?.action === 'accept') return { action: 'accept', content: answer.content ?? {}, by: answer.by }
      if (answer !== undefined) return { action: answer.action, by: answer.by }
      const left = remaining(until)
      if (left > 0) await changed(this.#session, found.call, left, signal)
      else await this.#giveUp(question)
    }
  }

  /** Nobody answered in time. */
  async #giveUp(question: string): Promise<void> {
    await compareAndAppend(this.#options.log, this.#session, (state) => {
      const found = findCall(state, this.#call)
      if (found === undefined || found.run.phase === 'ended') return undefined
      const { call } = found
      if (openQuestion(call)?.question !== question) return undefined
      const about = { run: call.run, call: call.id, question }
      const event = { type: 'tool.answered' as const, ...about, action: 'cancel' as const, by: 'server' }
      return { subject: `tool.${call.id}`, expect: call.last, event }
    })
  }
}

function formOf(schema: Question['schema'] = NO_FIELDS): FormSchema {
  const given: unknown = schema instanceof z.ZodType ? z.toJSONSchema(schema, { io: 'input' }) : schema
  const parsed = FormSchema.safeParse(given)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const at = issue?.path.join('.') ?? ''
    throw new ToolFailure(
      `The schema of the question is not a form: ${at === '' ? 'it' : at} ${issue?.message ?? 'is invalid'}.`,
    )
  }
  const form = wellFormed(parsed.data)
  if (JSON.stringify(form).length <= LIMITS.formBytes) return form
  throw new ToolFailure(`The schema of the question is larger than ${LIMITS.formBytes} bytes.`)
}

const NO_FIELDS: FormSchema = { type: 'object', properties: {} }

function ended(signal: AbortSignal): unknown {
  return signal.aborted ? signal.reason : new DOMException('The tool call has ended.', 'AbortError')
}
