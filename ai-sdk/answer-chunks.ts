// AnswerChunks: one run as the chunks of an AI SDK message stream. Each call of `take` compares the session's view with
// what was emitted, and returns what is missing. The view is the buffer: a slow reader gets larger deltas, and replays,
// snapshots, merged outputs and reconnects give the same chunks as live entries.
//
//   queued ──► open ──► over
//               ▲ └──► parked: the run, or a child run, waits for this chat's approval or tool output. The stream must
//               └────── `take` continues   end there, because the AI SDK sends answers only after the end of a stream.
//
// The chunks keep what the AI SDK requires: what is opened is closed before the end, one message id per run, and steps
// that separate calls from what follows them. Pure.
import { type CallView, isEnded, isSettled, type RunView, type SessionView } from '@parley/client'
import type { UIMessageChunk } from 'ai'
import { callsBelow, compareParts, dataChunk, isText, type SolidPart, solidParts } from './answer-parts.ts'

/** The client that runs a call of a tool: the chat's own code, another client or the server, or not known yet. */
export type CallOwner = 'chat' | 'elsewhere' | 'unknown'

export interface Taken {
  readonly chunks: readonly UIMessageChunk[]
  readonly phase: 'open' | 'parked' | 'over'
}

interface Shown {
  part: SolidPart
  /** The call's view as of the last chunk about it. */
  call?: CallView
  /** The chat was asked to approve it. */
  requested?: boolean
  isDecided?: boolean
  isSettled?: boolean
  owner?: CallOwner
}

export class AnswerChunks {
  readonly run: string
  readonly #ownerOf: (call: CallView) => CallOwner
  /** The parts without unfinished arguments of calls, which leave their place once the call is made. */
  readonly #shown: Shown[] = []
  /** Calls of child runs. They have steps of their own: in one step with the call that asks the agent, which is open, no approval would be sent. */
  readonly #below: Shown[] = []
  /** By call: the length of the arguments so far, and undefined once the call was made. */
  readonly #inputs = new Map<string, number | undefined>()
  /** Where the current step begins in `#shown`. */
  #stepStart = 0
  /** The same in `#below`. */
  #stepBelow = 0
  #isBelowWhole = true
  #hasStep = false
  /** Nothing but arguments was shown in the current step. */
  #isStepFresh = true
  /** The current stream has its `start`. */
  #isStarted = false
  /** The last part is a text that is not closed. */
  #isTextOpen = false
  /** The run as of the last `take`. */
  #last: RunView | undefined
  /** The view may lack, or contradict, what was emitted: the run was restarted, or the session starts over. */
  #isUnsure = false
  #chunks: UIMessageChunk[] = []

  constructor(run: string, ownerOf: (call: CallView) => CallOwner) {
    this.run = run
    this.#ownerOf = ownerOf
  }

  /** The chunks since the last call. After `parked` the next chunks belong to another stream. */
  take(view: SessionView): Taken {
    const run = view.runs.get(this.run)
    if (run === undefined) {
      this.#isUnsure = this.#last !== undefined
      return { chunks: [], phase: 'open' }
    }
    if (run.status === 'queued') return { chunks: [], phase: 'open' }
    this.#start(run)
    const isCurrent = this.#compare(run)
    this.#last = run
    let phase: Taken['phase'] = 'open'
    if (isCurrent) {
      for (const shown of [...this.#shown, ...this.#below]) this.#updateCall(shown, view)
      this.#grow(run, view)
      this.#growInputs(run)
      if (isEnded(run)) phase = 'over'
      else if (this.#isParked(run)) phase = 'parked'
    }
    if (phase === 'over') this.#end(run)
    else if (phase === 'parked') this.#park()
    const chunks = this.#chunks
    this.#chunks = []
    return { chunks, phase }
  }

  /** Whether `take` would return nothing for this view. A renewed claim changes a call, but not what is shown of it. */
  isCurrent(view: SessionView): boolean {
    const run = view.runs.get(this.run)
    const isSameCall = ({ part, call }: Shown): boolean =>
      part.type !== 'tool' || view.calls.get(part.call)?.status === call?.status
    if (run !== this.#last || ![...this.#shown, ...this.#below].every(isSameCall)) return false
    return run === undefined || callsBelow(view, run).length === this.#below.length
  }

  #start({ id, model }: RunView): void {
    if (this.#isStarted) return
    this.#isStarted = true
    const messageMetadata = { run: id, ...(model === undefined ? {} : { model }) }
    this.#chunks.push({ type: 'start', messageId: id, messageMetadata })
    if (this.#hasStep) return
    this.#hasStep = true
    this.#chunks.push({ type: 'start-step' })
  }

  /** @returns whether the run has everything that was emitted. If it contradicts, its current step starts over. */
  #compare(run: RunView): boolean {
    const last = this.#last
    if (last !== undefined && (run.epoch !== last.epoch || run.next < last.next)) this.#isUnsure = true
    if (!this.#isUnsure && !isEnded(run)) return true
    if (last !== undefined && run.epoch !== last.epoch && this.#openInputs.length > 0) {
      // The next driver makes other calls.
      this.#resetStep()
      return true
    }
    const parts = solidParts(run)
    for (const [at, { part: shown }] of this.#shown.entries()) {
      const part = parts[at]
      const relation = part === undefined ? 'behind' : compareParts(shown, part)
      if (relation === 'same' || (relation === 'behind' && !isEnded(run))) {
        if (relation === 'behind') return false
        continue
      }
      this.#resetStep()
      break
    }
    this.#isUnsure = false
    return true
  }

  /** Readers of `ai` 6 ignore `reset-step`: there the dropped text stays until the chat loads the messages again. */
  #resetStep(): void {
    this.#closeText()
    this.#shown.length = Math.min(this.#shown.length, this.#stepStart)
    this.#below.length = Math.min(this.#below.length, this.#stepBelow)
    for (const call of this.#openInputs) this.#inputs.delete(call)
    this.#isStepFresh = true
    this.#chunks.push({ type: 'reset-step' })
  }

  #grow(run: RunView, view: SessionView): void {
    for (const [at, part] of solidParts(run).entries()) {
      const shown = this.#shown[at]
      if (shown === undefined) {
        if (!this.#show(run, view, part, at)) return
      } else if (part !== shown.part) this.#growPart(shown, part, at)
    }
    const before = this.#shown.at(-1)
    const isStepWritten =
      before?.part.type === 'tool' && before.isSettled !== true && this.#shown.length < run.parts.length
    if (!isStepWritten) this.#growBelow(run, view)
    if (isEnded(run)) this.#closeText()
  }

  /** The calls of child runs, which the calls shown so far have asked. */
  #growBelow(run: RunView, view: SessionView): void {
    this.#isBelowWhole = true
    const known = new Set(this.#below.map(({ call }) => call?.id))
    for (const call of callsBelow(view, { ...run, parts: this.#shown.map(({ part }) => part) })) {
      if (known.has(call.id)) continue
      const owner = this.#ownerOf(call)
      if (owner === 'unknown' && !isSettled(call)) {
        this.#isBelowWhole = false
        continue
      }
      this.#closeText()
      if (!this.#isStepBelow && !this.#isStepFresh) this.#nextStep()
      this.#isStepFresh = false
      const shown: Shown = { part: { type: 'tool', call: call.id, name: call.name }, owner }
      this.#below.push(shown)
      this.#input(call, owner, view)
      this.#updateCall(shown, view)
    }
  }

  get #isStepBelow(): boolean {
    return this.#below.length > this.#stepBelow
  }

  #growPart(shown: Shown, part: SolidPart, at: number): void {
    if (isText(part) && isText(shown.part) && part.text.length > shown.part.text.length) {
      const delta = part.text.slice(shown.part.text.length)
      if (!this.#isTextOpen) {
        // A call of a child run closed it.
        if (this.#isStepBelow) this.#nextStep()
        this.#isTextOpen = true
        this.#chunks.push({ type: `${part.type}-start`, id: String(at) })
      }
      this.#chunks.push({ type: `${part.type}-delta`, id: String(at), delta })
    } else if (part.type === 'data' && part.id !== undefined) this.#chunks.push(dataChunk(part))
    shown.part = part
  }

  get #openInputs(): readonly string[] {
    return [...this.#inputs].flatMap(([call, length]) => (length === undefined ? [] : [call]))
  }

  /** The arguments of calls that the model is still writing. */
  #growInputs(run: RunView): void {
    for (const part of run.parts) {
      if (part.type !== 'input') continue
      const { call: toolCallId, name: toolName, text } = part
      const known = { toolCallId, toolName, dynamic: true, providerExecuted: true }
      let length = this.#inputs.get(toolCallId)
      if (length === undefined) {
        const before = this.#shown.at(-1)
        const isAfterCalls = (before?.part.type === 'tool' && before.isSettled === true) || this.#isStepBelow
        if (isAfterCalls && !this.#isStepFresh) this.#nextStep()
        this.#chunks.push({ type: 'tool-input-start', ...known })
        length = 0
      }
      const inputTextDelta = text.slice(length)
      if (inputTextDelta !== '') this.#chunks.push({ type: 'tool-input-delta', toolCallId, inputTextDelta })
      this.#inputs.set(toolCallId, text.length)
      if (isEnded(run)) this.#chunks.push({ type: 'tool-input-error', ...known, input: text, errorText: DROPPED })
    }
  }

  /** @returns whether the part could be shown already */
  #show(run: RunView, view: SessionView, part: SolidPart, at: number): boolean {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    if (part.type === 'tool' && !isEnded(run)) {
      // The run may name a call before its `tool.called` arrives; and a device may be about to claim it.
      if (call === undefined || (!isSettled(call) && this.#ownerOf(call) === 'unknown')) return false
    }
    this.#closeText()
    const before = this.#shown.at(-1)
    const isSameStep = call !== undefined && before?.call?.step === call.step
    const isNextStep = part.type === 'message' ? before !== undefined : before?.part.type === 'tool' && !isSameStep
    if (isNextStep) this.#growBelow(run, view)
    if ((isNextStep || this.#isStepBelow) && !this.#isStepFresh) this.#nextStep()
    this.#isStepFresh = false
    const shown: Shown = { part }
    this.#shown.push(shown)
    if (isText(part)) {
      this.#isTextOpen = true
      this.#chunks.push({ type: `${part.type}-start`, id: String(at) })
      if (part.text !== '') this.#chunks.push({ type: `${part.type}-delta`, id: String(at), delta: part.text })
    } else if (part.type === 'message') this.#steer(view, part.message)
    else if (part.type === 'data') this.#chunks.push(dataChunk(part))
    else if (part.type === 'source') {
      const { url, title } = part
      const sourceId = `${run.id}-${at}`
      this.#chunks.push({ type: 'source-url', sourceId, url, ...(title === undefined ? {} : { title }) })
    } else if (part.type === 'file') {
      const { type: _, ...file } = part
      // A stored file has no URL of its own.
      if (file.url === undefined) this.#chunks.push({ type: 'data-parley-file', data: file })
      else this.#chunks.push({ type: 'file', mediaType: file.mediaType, url: file.url })
    } else if (call !== undefined) {
      this.#inputs.set(call.id, undefined)
      shown.owner = this.#ownerOf(call)
      this.#input(call, shown.owner, view)
      this.#updateCall(shown, view)
    }
    return true
  }

  /** Readers of `ai` 6 ignore `steering-message`, and everybody else may ignore the data part. */
  #steer(view: SessionView, id: string): void {
    const text = view.messages.findLast((message) => message.id === id)?.text ?? ''
    this.#chunks.push({ type: 'steering-message', id, parts: [{ type: 'text', text }] })
    this.#chunks.push({ type: 'data-parley-steer', id, data: { message: id, text } })
  }

  #input({ id, name, input, run }: CallView, owner: CallOwner, view: SessionView): void {
    // Without the flag, the chat's own code would be asked to run the call, and an answer that ends at its output
    // would be sent again and again.
    const providerExecuted = owner !== 'chat'
    const { agent } = view.runs.get(run) ?? {}
    const asked = { parley: { run, ...(agent === undefined ? {} : { agent }) } }
    this.#chunks.push({
      type: 'tool-input-available',
      toolCallId: id,
      toolName: name,
      input,
      dynamic: true,
      providerExecuted,
      ...(run === this.run ? {} : { providerMetadata: asked }),
    })
  }

  #updateCall(shown: Shown, view: SessionView): void {
    const call = shown.part.type === 'tool' ? view.calls.get(shown.part.call) : undefined
    if (call === undefined || shown.isSettled === true) return
    const owner = this.#ownerOf(call)
    if (owner === 'chat' && shown.owner !== 'chat') {
      shown.owner = owner
      this.#input(call, owner, view)
    }
    if (call === shown.call) return
    const { id, decision, progress, questions = [] } = call
    if (progress !== undefined && progress !== shown.call?.progress) {
      this.#chunks.push({ type: 'data-parley-progress', id, data: { call: id, ...progress }, transient: true })
    }
    for (const [at, question] of questions.entries()) {
      if (question === shown.call?.questions?.[at]) continue
      this.#chunks.push({ type: 'data-parley-question', id: question.id, data: { call: id, ...question } })
    }
    shown.call = call
    const isDenied = decision?.decision === 'deny'
    if (shown.requested !== true && (call.status === 'deciding' || isDenied)) {
      shown.requested = true
      this.#chunks.push({ type: 'tool-approval-request', approvalId: id, toolCallId: id })
    }
    if (decision !== undefined && shown.requested === true && shown.isDecided !== true) {
      shown.isDecided = true
      const { reason } = decision
      const approved = !isDenied
      // Only `ai` 7 knows it.
      this.#chunks.push({
        type: 'tool-approval-response',
        approvalId: id,
        approved,
        ...(reason === undefined ? {} : { reason }),
      })
    }
    if (!isSettled(call)) return
    shown.isSettled = true
    // Also a result of the chat, which the server has now. Otherwise `lastAssistantMessageIsCompleteWithToolCalls` would send it
    // again and again while another call of the step waits for an approval.
    const common = { toolCallId: id, dynamic: true, providerExecuted: true }
    if (call.status === 'completed') {
      this.#chunks.push({ type: 'tool-output-available', ...common, output: call.output ?? null })
    } else if (isDenied && call.status === 'failed') this.#chunks.push({ type: 'tool-output-denied', toolCallId: id })
    else this.#chunks.push({ type: 'tool-output-error', ...common, errorText: call.error ?? DROPPED })
  }

  /**
   * Everything is shown, and each open call waits for a decision or an output from this chat. One such call of a child run is
   * enough: the others may run for long, and the answer of the person must not wait for them.
   */
  #isParked(run: RunView): boolean {
    if (this.#shown.length < run.parts.length || !this.#isBelowWhole) return false
    const isOpen = ({ part, isSettled: is }: Shown): boolean => part.type === 'tool' && is !== true
    const isForChat = ({ call }: Shown): boolean =>
      call !== undefined && (call.status === 'deciding' || this.#ownerOf(call) === 'chat')
    const open = [...this.#shown, ...this.#below].filter(isOpen)
    // The output of the chat is on its way to the server.
    if (open.some(({ call }) => call !== undefined && this.#ownerOf(call) === 'unknown')) return false
    if (this.#below.some((shown) => isOpen(shown) && isForChat(shown))) return true
    return run.status === 'waiting' && this.#shown.filter(isOpen).every(isForChat)
  }

  #park(): void {
    this.#closeText()
    this.#chunks.push({ type: 'finish-step' }, { type: 'finish', finishReason: 'tool-calls' })
    this.#isStarted = false
  }

  #end(run: RunView): void {
    if (run.status === 'failed') {
      const { code = 'internal', message = 'The run failed.' } = run.error ?? {}
      this.#chunks.push({ type: 'message-metadata', messageMetadata: { error: code } })
      // Nothing may follow it.
      this.#chunks.push({ type: 'error', errorText: message })
      return
    }
    // A last step with calls would be sent again by `lastAssistantMessageIsCompleteWithToolCalls`.
    if (this.#shown.at(-1)?.part.type === 'tool' || this.#isStepBelow) this.#nextStep()
    const { status, usage, cut } = run
    const finishReason = status !== 'completed' ? 'interrupted' : cut === true ? 'length' : 'stop'
    const metadata = usage === undefined ? {} : { messageMetadata: { usage } }
    this.#chunks.push({ type: 'finish-step' }, { type: 'finish', finishReason, ...metadata })
  }

  #nextStep(): void {
    this.#stepStart = this.#shown.length
    this.#stepBelow = this.#below.length
    this.#isStepFresh = true
    this.#chunks.push({ type: 'finish-step' }, { type: 'start-step' })
  }

  #closeText(): void {
    const last = this.#shown.at(-1)
    if (!this.#isTextOpen || last === undefined || !isText(last.part)) return
    this.#isTextOpen = false
    this.#chunks.push({ type: `${last.part.type}-end`, id: String(this.#shown.length - 1) })
  }
}

const DROPPED = 'The answer ended before this call.'
