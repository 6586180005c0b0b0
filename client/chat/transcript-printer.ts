// TranscriptPrinter: turns the changes of a session's view into append-only text: each message, then its answer as it
// streams. It prints nothing during a replay, and nothing twice.
import { answerOf, isEnded, type MessageView, type RunView, type Seen, type SessionView } from '../index.ts'
import { ChildPrinter } from './child-printer.ts'
import { cleanText } from './clean-text.ts'
import { RunPrinter, type RunPrinterOutput, speakerNote } from './run-printer.ts'

/** The destination. All text is clean already. */
export interface TranscriptOutput extends RunPrinterOutput {
  /** Prints a message; `own` if this program sent it. */
  message(author: string, text: string, own: boolean): void
}

/** Limit of the messages that are shown at the start. */
const HISTORY_MESSAGES = 50

export class TranscriptPrinter {
  readonly #output: TranscriptOutput
  readonly #own = new Set<string>()
  readonly #printed = new Set<string>()
  #isStarted = false
  #shown: string | undefined
  #printer: RunPrinter | undefined
  #children: ChildPrinter
  #isSpeakerKnown = false
  #showsChildren = false
  #seen: Seen | undefined

  constructor(output: TranscriptOutput) {
    this.#output = output
    this.#children = new ChildPrinter(output)
  }

  /** Marks a message as sent by this program. */
  sent(message: string): void {
    this.#own.add(message)
  }

  /** How much of the current run the person can have read. */
  get seen(): Seen | undefined {
    return this.#seen
  }

  /** The child runs of the answer that streams. */
  get children(): ChildPrinter {
    return this.#children
  }

  print(view: SessionView): void {
    if (view.status !== 'live') return
    if (!this.#isStarted) this.#skipHistory(view)
    for (const message of view.messages) {
      if (this.#printed.has(message.id)) continue
      if (this.#shown !== message.id) {
        this.#shown = message.id
        const to = message.agent === undefined ? '' : ` to ${message.agent}`
        this.#output.message(
          cleanText(`${message.author}${to}`, { oneLine: true }),
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
    if (this.#printer?.run !== run.id) this.#begin(run)
    this.#speaker(run, view)
    const printChildren = (of: RunView): void => {
      if (this.#showsChildren) this.#children.print(of, view)
    }
    this.#printer?.print(run, view, printChildren)
    printChildren(run)
    this.#seen = { run: run.id, index: run.next - 1 }
  }

  #begin(run: RunView): void {
    this.#printer = new RunPrinter(run, this.#output)
    this.#children = new ChildPrinter(this.#output)
    this.#isSpeakerKnown = false
    // Of an earlier answer, their results are enough.
    this.#showsChildren = !isEnded(run)
  }

  #speaker(run: RunView, view: SessionView): void {
    if (this.#isSpeakerKnown || run.status === 'queued') return
    this.#isSpeakerKnown = true
    const note = speakerNote(view, run)
    if (note !== undefined) this.#output.note(note)
  }

  #finish(run: RunView): void {
    this.#printer?.finish(run)
    this.#printer = undefined
    this.#seen = undefined
  }
}
