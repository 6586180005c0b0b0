// ChildPrinter: prints the child runs of an answer while they work, each line with the agent's name before it, because
// several may speak at once. What a child run thinks is not printed.
import { cutText } from '@parley/protocol/cut-text'
import { childRuns, isEnded, type RunView, type SessionView } from '../index.ts'
import { cleanText } from './clean-text.ts'
import { RunPrinter, type RunPrinterOutput } from './run-printer.ts'

/** A line is printed when it ends, or when it has this many characters. */
const LINE_MAX = 120

interface Child {
  readonly label: string
  readonly printer: RunPrinter
  isFinished: boolean
}

export class ChildPrinter {
  readonly #output: RunPrinterOutput
  readonly #children = new Map<string, Child>()

  constructor(output: RunPrinterOutput) {
    this.#output = output
  }

  print(run: RunView, view: SessionView): void {
    for (const child of childRuns(view, run)) {
      const shown = this.#children.get(child.id) ?? this.#begin(child)
      if (shown.isFinished) continue
      shown.printer.print(child, view)
      if (!isEnded(child)) continue
      shown.isFinished = true
      shown.printer.finish(child)
      if (child.status === 'completed') this.#output.note(`[${shown.label}] done`)
    }
  }

  /** The names of the child runs that still work, by their ids. */
  get working(): ReadonlyMap<string, string> {
    return new Map([...this.#children].flatMap(([id, { label, isFinished }]) => (isFinished ? [] : [[id, label]])))
  }

  /** The name of a child run: its agent, and a number if that agent has answered before. */
  labelOf(run: string): string | undefined {
    return this.#children.get(run)?.label
  }

  #begin(child: RunView): Child {
    const agent = cleanText(child.agent ?? 'agent', { oneLine: true })
    const earlier = [...this.#children.values()].filter(({ label }) => label === agent || label.startsWith(`${agent} `))
    const label = earlier.length === 0 ? agent : `${agent} ${earlier.length + 1}`
    const begun = { label, printer: new RunPrinter(child, new LabelledLines(label, this.#output)), isFinished: false }
    this.#children.set(child.id, begun)
    return begun
  }
}

/** Prints the text of one child run by lines. */
class LabelledLines implements RunPrinterOutput {
  readonly #label: string
  readonly #output: RunPrinterOutput
  #line = ''

  constructor(label: string, output: RunPrinterOutput) {
    this.#label = label
    this.#output = output
  }

  answer(text: string): void {
    const lines = (this.#line + text).split('\n')
    this.#line = lines.pop() ?? ''
    for (const line of lines) this.#print(line)
    while (this.#line.length > LINE_MAX) {
      const space = this.#line.lastIndexOf(' ', LINE_MAX)
      const head = space > 0 ? this.#line.slice(0, space) : cutText(this.#line, LINE_MAX)
      this.#line = this.#line.slice(space > 0 ? space + 1 : head.length)
      this.#print(head)
    }
  }

  reasoning(): void {
    this.startLine()
  }

  note(text: string): void {
    this.startLine()
    this.#print(text)
  }

  startLine(): void {
    this.#print(this.#line)
    this.#line = ''
  }

  #print(line: string): void {
    if (line.trim() !== '') this.#output.note(`[${this.#label}] ${line}`)
  }
}
