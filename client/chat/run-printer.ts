// RunPrinter: turns the changes of one run into append-only text: its parts as they stream, then how it ended. It prints
// nothing twice.
import { cutText } from '@parley/protocol/cut-text'
import { textGap } from '@parley/protocol/well-formed'
import { firstAgent, type RunPart, type RunView, type SessionView } from '../index.ts'
import { CleanText, cleanText } from './clean-text.ts'

/** The destination. All text is clean already. */
export interface RunPrinterOutput {
  /** Appends to the answer. */
  answer(text: string): void
  reasoning(text: string): void
  /** Prints a note of the program on a separate line. */
  note(text: string): void
  /** Completes the current line. */
  startLine(): void
}

type Printed = Exclude<RunPart, { type: 'input' }>

const NOTE_MAX = 200

export class RunPrinter {
  readonly run: string
  readonly #output: RunPrinterOutput
  #epoch: number
  /** The number of parts that are printed, and of the characters of the next one. */
  #part = 0
  #offset = 0
  /** The printed text, as in the run's `text`. */
  #text = ''
  /** A call or a steering message came after it. */
  #isApart = false
  #cleaner = new CleanText()

  constructor(run: RunView, output: RunPrinterOutput) {
    this.run = run.id
    this.#epoch = run.epoch
    this.#output = output
  }

  /** @param before called before an output that follows calls, with the run up to them */
  print(run: RunView, view: SessionView, before?: (run: RunView) => void): void {
    if (run.epoch !== this.#epoch) {
      this.#epoch = run.epoch
      if (!run.text.startsWith(this.#text)) this.#restart()
    }
    // The call replaces its input, and then is printed as a whole.
    const parts = run.parts.filter((part): part is Printed => part.type !== 'input')
    while (this.#part < parts.length) {
      const part = parts[this.#part] as Printed
      const follows = part.type !== 'tool' && parts[this.#part - 1]?.type === 'tool'
      if (follows) before?.({ ...run, parts: parts.slice(0, this.#part) })
      this.#print(part, view)
      // The last part may still grow.
      if (this.#part === parts.length - 1 && 'text' in part) {
        this.#offset = part.text.length
        return
      }
      this.#part += 1
      this.#offset = 0
    }
  }

  /** Prints how the run ended, unless it simply completed. */
  finish(run: RunView): void {
    this.#output.startLine()
    if (run.cut === true) this.#output.note(cutNote(run))
    else if (run.status === 'cancelled') this.#output.note('stopped')
    else if (run.status === 'superseded') this.#output.note('interrupted')
    else if (run.status === 'failed') {
      this.#output.note(`failed: ${cleanText(run.error?.message ?? 'unknown error', { oneLine: true })}`)
    }
  }

  #restart(): void {
    this.#output.note('restarting the answer')
    this.#part = 0
    this.#offset = 0
    this.#text = ''
    this.#isApart = false
    this.#cleaner = new CleanText()
  }

  #print(part: Printed, view: SessionView): void {
    switch (part.type) {
      case 'text':
      case 'reasoning': {
        const added = part.text.slice(this.#offset)
        if (part.type === 'text' && added !== '') {
          this.#text += (this.#isApart ? textGap(this.#text, added) : '') + added
          this.#isApart = false
        }
        const text = this.#cleaner.push(added)
        if (text === '') return
        if (part.type === 'text') this.#output.answer(text)
        else this.#output.reasoning(text)
        return
      }
      case 'data':
      case 'source':
      case 'file':
        this.#note(extraNote(part))
        return
      case 'message':
        this.#isApart = true
        this.#output.startLine()
        return
      case 'tool':
        this.#isApart = true
        this.#note(callNote(part, view))
    }
  }

  #note(text: string): void {
    this.#output.note(cutText(cleanText(text, { oneLine: true }), NOTE_MAX))
  }
}

/** Who answers, if that is a named agent. */
export function speakerNote(view: SessionView, run: RunView): string | undefined {
  const agent = firstAgent(view, run)
  return agent === undefined ? undefined : `${cleanText(agent, { oneLine: true })} answers`
}

/** What to print about an answer that reached a token limit. */
export function cutNote({ usage }: RunView): string {
  const tokens = usage?.outputTokens ?? 0
  const limit =
    tokens === 0 ? 'token limit' : `limit of ${tokens.toLocaleString('en')} ${tokens === 1 ? 'token' : 'tokens'}`
  return `stopped at the ${limit}: the answer is incomplete`
}

function callNote({ call, name }: Extract<RunPart, { type: 'tool' }>, view: SessionView): string {
  const { input = {}, child, handoff } = view.calls.get(call) ?? {}
  if (handoff !== undefined) return `handing over to ${handoff}`
  if (child === undefined) return `calling ${name}(${JSON.stringify(input)})`
  const { message } = input as { readonly message?: unknown }
  return `asking ${child.agent}: ${typeof message === 'string' ? message : JSON.stringify(input)}`
}

function extraNote(part: Extract<RunPart, { type: 'data' | 'source' | 'file' }>): string {
  if (part.type === 'data') return `data ${part.name}: ${JSON.stringify(part.data)}`
  if (part.type === 'source') return `source: ${part.title === undefined ? '' : `${part.title} `}${part.url}`
  return `file: ${part.name ?? part.mediaType}`
}
