// TranscriptPrinter: turns the changes of a session's view into append-only text: each message, then its answer as it
// streams. It prints nothing during a replay, and nothing twice.
import { lateSteerRun } from '@parley/protocol/make-id'
import { cutText, textGap } from '@parley/protocol/well-formed'
import type { MessageView, RunPart, RunView, Seen, SessionView } from '../index.ts'
import { isEnded } from '../index.ts'
import { CleanText, cleanText } from './clean-text.ts'

/** The destination. All text is clean already. */
export interface TranscriptOutput {
  /** Appends to the answer. */
  answer(text: string): void
  reasoning(text: string): void
  /** Prints a message; `own` if this program sent it. */
  message(author: string, text: string, own: boolean): void
  /** Prints a note of the program on a separate line. */
  note(text: string): void
  /** Completes the current line. */
  startLine(): void
}

/** Limit of the messages that are shown at the start. */
const HISTORY_MESSAGES = 50

type Printed = Exclude<RunPart, { type: 'input' }>

/** How much of a run is printed. */
interface Progress {
  readonly run: string
  epoch: number
  part: number
  offset: number
  /** The printed text, as in the run's `text`. */
  text: string
  /** A call or a steering message came after it. */
  isApart: boolean
  readonly cleaner: CleanText
}

export class TranscriptPrinter {
  readonly #output: TranscriptOutput
  readonly #own = new Set<string>()
  readonly #printed = new Set<string>()
  #isStarted = false
  #shown: string | undefined
  #progress: Progress | undefined
  #seen: Seen | undefined

  constructor(output: TranscriptOutput) {
    this.#output = output
  }

  /** Marks a message as sent by this program. */
  sent(message: string): void {
    this.#own.add(message)
  }

  /** How much of the current run the person can have read. */
  get seen(): Seen | undefined {
    return this.#seen
  }

  print(view: SessionView): void {
    if (view.status !== 'live') return
    if (!this.#isStarted) this.#skipHistory(view)
    for (const message of view.messages) {
      if (this.#printed.has(message.id)) continue
      if (this.#shown !== message.id) {
        this.#shown = message.id
        this.#output.message(
          cleanText(message.author, { oneLine: true }),
          cleanText(message.text),
          this.#isOwn(message),
        )
      }
      const run = answerOf(view, message)
      if (run !== undefined) {
        this.#run(run, view)
        // The next message is printed after this answer.
        if (!isEnded(run)) return
        this.#finish(run)
      }
      this.#printed.add(message.id)
    }
  }

  #isOwn(message: MessageView): boolean {
    return this.#own.has(message.id)
  }

  #skipHistory(view: SessionView): void {
    this.#isStarted = true
    const before = view.messages.filter((message) => !this.#own.has(message.id))
    const skipped = before.slice(0, Math.max(0, before.length - HISTORY_MESSAGES))
    for (const message of skipped) this.#printed.add(message.id)
    if (skipped.length > 0) this.#output.note(`${skipped.length} earlier messages are hidden`)
  }

  #run(run: RunView, view: SessionView): void {
    if (this.#progress?.run !== run.id) this.#begin(run)
    const progress = this.#progress as Progress
    if (run.epoch !== progress.epoch) {
      progress.epoch = run.epoch
      if (!run.text.startsWith(progress.text)) {
        this.#output.note('restarting the answer')
        this.#begin(run)
      }
    }
    this.#parts(run, view)
    this.#seen = { run: run.id, index: run.next - 1 }
  }

  #begin(run: RunView): void {
    this.#progress = {
      run: run.id,
      epoch: run.epoch,
      part: 0,
      offset: 0,
      text: '',
      isApart: false,
      cleaner: new CleanText(),
    }
  }

  #parts(run: RunView, view: SessionView): void {
    const progress = this.#progress as Progress
    // The call replaces its input, and then is printed as a whole.
    const parts = run.parts.filter((part): part is Printed => part.type !== 'input')
    while (progress.part < parts.length) {
      const part = parts[progress.part] as Printed
      this.#part(part, progress, view)
      // The last part may still grow.
      if (progress.part === parts.length - 1 && 'text' in part) {
        progress.offset = part.text.length
        return
      }
      progress.part += 1
      progress.offset = 0
    }
  }

  #part(part: Printed, progress: Progress, view: SessionView): void {
    if (part.type === 'text' || part.type === 'reasoning') {
      const added = part.text.slice(progress.offset)
      if (part.type === 'text' && added !== '') {
        progress.text += (progress.isApart ? textGap(progress.text, added) : '') + added
        progress.isApart = false
      }
      const text = progress.cleaner.push(added)
      if (text === '') return
      if (part.type === 'text') this.#output.answer(text)
      else this.#output.reasoning(text)
      return
    }
    if (part.type === 'data' || part.type === 'source' || part.type === 'file') {
      this.#output.note(cutText(cleanText(extraNote(part), { oneLine: true }), 200))
      return
    }
    progress.isApart = true
    if (part.type !== 'tool') return this.#output.startLine()
    const input = JSON.stringify(view.calls.get(part.call)?.input ?? {})
    this.#output.note(`calling ${cutText(cleanText(`${part.name}(${input})`, { oneLine: true }), 200)}`)
  }

  #finish(run: RunView): void {
    this.#output.startLine()
    this.#progress = undefined
    this.#seen = undefined
    if (run.cut === true) this.#output.note(cutNote(run))
    else if (run.status === 'cancelled') this.#output.note('stopped')
    else if (run.status === 'superseded') this.#output.note('interrupted')
    else if (run.status === 'failed') {
      this.#output.note(`failed: ${cleanText(run.error?.message ?? 'unknown error', { oneLine: true })}`)
    }
  }
}

/** What to print about an answer that reached a token limit. */
export function cutNote({ usage }: RunView): string {
  const tokens = usage?.outputTokens ?? 0
  const limit =
    tokens === 0 ? 'token limit' : `limit of ${tokens.toLocaleString('en')} ${tokens === 1 ? 'token' : 'tokens'}`
  return `stopped at the ${limit}: the answer is incomplete`
}

function extraNote(part: Extract<RunPart, { type: 'data' | 'source' | 'file' }>): string {
  if (part.type === 'data') return `data ${part.name}: ${JSON.stringify(part.data)}`
  if (part.type === 'source') return `source: ${part.title === undefined ? '' : `${part.title} `}${part.url}`
  return `file: ${part.name ?? part.mediaType}`
}

/** The message's own run. A steering message has one only if its run did not take it. */
function answerOf(view: SessionView, message: MessageView): RunView | undefined {
  const run = view.runs.get(message.run)
  return run?.message === message.id ? run : view.runs.get(lateSteerRun(message.id))
}
