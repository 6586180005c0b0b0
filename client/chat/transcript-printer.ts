// TranscriptPrinter: turns the changes of a session's view into text that is only ever added to: each message, then
// the run that answers it, as it comes. It prints nothing while the view catches up, and nothing twice.
import type { MessageView, RunPart, RunView, Seen, SessionView } from '../index.ts'
import { isEnded } from '../index.ts'
import { lateSteerRun } from '../session/session-view.ts'
import { CleanText, cleanText } from './clean-text.ts'

/** Where it is printed. What is given is clean already. */
export interface Paper {
  /** A piece of the answer. */
  answer(text: string): void
  reasoning(text: string): void
  /** A message of somebody; `own` when this program sent it. */
  message(author: string, text: string, own: boolean): void
  /** A remark of the program itself, on a line of its own. */
  note(text: string): void
  /** An answer is complete. */
  end(): void
}

/** How much of a long history is shown on joining. */
const HISTORY_MESSAGES = 50

/** How much of a run has been printed. */
interface Progress {
  readonly run: string
  epoch: number
  part: number
  offset: number
  /** The text of it, without reasoning. */
  text: string
  readonly cleaner: CleanText
}

export class TranscriptPrinter {
  readonly #paper: Paper
  readonly #own = new Set<string>()
  readonly #done = new Set<string>()
  #joined = false
  #shown: string | undefined
  #progress: Progress | undefined
  #seen: Seen | undefined

  constructor(paper: Paper) {
    this.#paper = paper
  }

  /** This program sent the message. */
  sent(message: string): void {
    this.#own.add(message)
  }

  /** How much of the run that is being printed can have been read. */
  get seen(): Seen | undefined {
    return this.#seen
  }

  print(view: SessionView): void {
    if (view.status !== 'live') return
    if (!this.#joined) this.#join(view)
    for (const message of view.messages) {
      if (this.#done.has(message.id)) continue
      if (this.#shown !== message.id) {
        this.#shown = message.id
        this.#paper.message(cleanText(message.author, { oneLine: true }), cleanText(message.text), this.#isOwn(message))
      }
      const run = answerOf(view, message)
      if (run !== undefined) {
        this.#run(run, view)
        // The next message waits until this answer is complete.
        if (!isEnded(run)) return
        this.#finish(run)
      }
      this.#done.add(message.id)
    }
  }

  #isOwn(message: MessageView): boolean {
    return this.#own.has(message.id)
  }

  #join(view: SessionView): void {
    this.#joined = true
    const before = view.messages.filter((message) => !this.#own.has(message.id))
    const skipped = before.slice(0, Math.max(0, before.length - HISTORY_MESSAGES))
    for (const message of skipped) this.#done.add(message.id)
    if (skipped.length > 0) this.#paper.note(`${skipped.length} earlier messages are not shown`)
  }

  #run(run: RunView, view: SessionView): void {
    if (this.#progress?.run !== run.id) this.#begin(run)
    const progress = this.#progress as Progress
    if (run.epoch !== progress.epoch) {
      progress.epoch = run.epoch
      if (!run.text.startsWith(progress.text)) {
        this.#paper.note('the answer is begun anew')
        this.#begin(run)
      }
    }
    this.#parts(run, view)
    this.#seen = { run: run.id, index: run.next - 1 }
  }

  #begin(run: RunView): void {
    this.#progress = { run: run.id, epoch: run.epoch, part: 0, offset: 0, text: '', cleaner: new CleanText() }
  }

  #parts(run: RunView, view: SessionView): void {
    const progress = this.#progress as Progress
    while (progress.part < run.parts.length) {
      const part = run.parts[progress.part] as RunPart
      this.#part(part, progress, view)
      // The last part may still grow.
      if (progress.part === run.parts.length - 1 && 'text' in part) {
        progress.offset = part.text.length
        return
      }
      progress.part += 1
      progress.offset = 0
    }
  }

  #part(part: RunPart, progress: Progress, view: SessionView): void {
    if (part.type === 'text' || part.type === 'reasoning') {
      const added = part.text.slice(progress.offset)
      if (part.type === 'text') progress.text += added
      const text = progress.cleaner.push(added)
      if (text === '') return
      if (part.type === 'text') this.#paper.answer(text)
      else this.#paper.reasoning(text)
    } else if (part.type === 'tool') {
      const input = JSON.stringify(view.calls.get(part.call)?.input ?? {})
      this.#paper.note(`calls ${cleanText(`${part.name}(${input})`, { oneLine: true }).slice(0, 200)}`)
    }
  }

  #finish(run: RunView): void {
    this.#paper.end()
    this.#progress = undefined
    this.#seen = undefined
    if (run.status === 'cancelled') this.#paper.note('stopped')
    else if (run.status === 'superseded') this.#paper.note('stopped for another message')
    else if (run.status === 'failed') {
      this.#paper.note(`failed: ${cleanText(run.error?.message ?? 'no reason given', { oneLine: true })}`)
    }
  }
}

/** The run of the message's own; a steering message has one only when it came too late. */
function answerOf(view: SessionView, message: MessageView): RunView | undefined {
  const run = view.runs.get(message.run)
  return run?.message === message.id ? run : view.runs.get(lateSteerRun(message.id))
}
