// TerminalChat: a conversation by lines that a person types. A line while the model speaks redirects it; Ctrl-C stops
// it, and when it is silent, twice leaves. Resolves with the exit code.
import { createInterface, type Interface, type Key } from 'node:readline'
import type { ParleyClient, Session } from '../index.ts'
import { ParleyError } from '../index.ts'
import { Approvals } from './approvals.ts'
import type { ChatOptions } from './chat-options.ts'
import { cleanText } from './clean-text.ts'
import { ConnectionNotes } from './connection-notes.ts'
import { TerminalPaper } from './terminal-paper.ts'
import { TranscriptPrinter } from './transcript-printer.ts'

const PROMPT = '> '

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

export function terminalChat(
  client: ParleyClient,
  session: Session,
  options: ChatOptions,
  { input, output }: Terminal,
): Promise<number> {
  return new Promise((resolve) => {
    new TerminalChat(client, session, options, { input, output }, resolve).start()
  })
}

class TerminalChat {
  readonly #client: ParleyClient
  readonly #session: Session
  readonly #options: ChatOptions
  readonly #reader: Interface
  readonly #input: Terminal['input']
  readonly #tty: boolean
  readonly #paper: TerminalPaper
  readonly #printer: TranscriptPrinter
  readonly #approvals: Approvals
  readonly #leave: (code: number) => void
  /** Ends what was begun, in the opposite order. */
  readonly #endings: (() => void)[] = []
  #prompted = false
  #mayLeave = false
  #over = false

  constructor(
    client: ParleyClient,
    session: Session,
    options: ChatOptions,
    { input, output }: Terminal,
    leave: (code: number) => void,
  ) {
    this.#client = client
    this.#session = session
    this.#options = options
    this.#input = input
    this.#tty = input.isTTY === true && output.isTTY === true
    this.#reader = createInterface({ input, output, terminal: this.#tty, prompt: this.#tty ? PROMPT : '' })
    this.#paper = new TerminalPaper((text) => output.write(text), this.#tty)
    this.#printer = new TranscriptPrinter(this.#paper)
    this.#approvals = new Approvals(session)
    this.#leave = leave
  }

  start(): void {
    const { session: id, url } = this.#options
    this.#paper.note(`session ${id} at ${url}; join it with --session ${id}`)
    const notes = new ConnectionNotes((text) => this.#aside(() => this.#paper.note(text)))
    this.#endings.push(
      this.#client.subscribe(() => {
        notes.update(this.#client.state)
        if (this.#client.state.status === 'closed') this.#end(1)
      }),
      this.#session.subscribe(() => this.#changed()),
    )
    this.#reader.on('line', (line) => this.#line(line))
    this.#reader.on('close', () => this.#inputEnded())
    this.#reader.on('SIGINT', () => this.#interrupt())
    // Without a terminal there is no Ctrl-C to read: the signal itself comes.
    const onSignal = (): void => this.#interrupt()
    process.on('SIGINT', onSignal)
    this.#endings.push(() => process.off('SIGINT', onSignal))
    if (this.#tty) {
      const onKey = (_: string | undefined, key: Key): void => this.#key(key)
      // Before the line editor sees the key: what the person types gets a line of its own.
      this.#input.prependListener('keypress', onKey)
      this.#endings.push(() => this.#input.off('keypress', onKey))
    }
    this.#changed()
  }

  get #speaking(): boolean {
    return this.#session.state.activeRun !== undefined || this.#session.state.pending.length > 0
  }

  #changed(): void {
    if (this.#over) return
    const view = this.#session.state
    if (view.error !== undefined) {
      this.#aside(() => this.#paper.note(cleanText(view.error?.message ?? '', { oneLine: true })))
      this.#end(1)
      return
    }
    // A prompt stands on the line where the answer would go.
    if (this.#prompted && this.#reader.line !== '') this.#paper.hold()
    else if (this.#prompted && this.#speaking) this.#unprompt()
    this.#printer.print(view)
    const call = this.#approvals.next(view)
    if (call !== undefined) {
      const what = cleanText(`${call.name}(${JSON.stringify(call.input)})`, { oneLine: true })
      this.#aside(() => this.#paper.note(`the model asks to run ${what} on this machine: allow it? y/n`))
      this.#prompt()
    } else if (!this.#speaking && view.status === 'live') {
      this.#prompt()
    }
  }

  #line(text: string): void {
    this.#prompted = false
    this.#mayLeave = false
    this.#paper.release()
    const content = text.trim()
    if (this.#approvals.asked !== undefined && /^(y|yes|n|no)$/i.test(content)) {
      const decision = /^y/i.test(content) ? 'approve' : 'deny'
      this.#watch(this.#approvals.answer(decision))
    } else if (content !== '') {
      this.#say(content)
    }
    this.#changed()
  }

  #say(content: string): void {
    const model = this.#options.model === undefined ? {} : { model: this.#options.model }
    const { seen } = this.#printer
    const reply = this.#speaking
      ? this.#session.redirect(content, { ...model, ...(seen === undefined ? {} : { seen }) })
      : this.#session.send(content, model)
    this.#printer.sent(reply.command)
    this.#watch(reply.accepted)
  }

  /** Ctrl-C. */
  #interrupt(): void {
    if (this.#reader.line !== '' && this.#tty) {
      this.#reader.write(null, { ctrl: true, name: 'u' })
      this.#unprompt()
      this.#paper.release()
      this.#changed()
      return
    }
    if (this.#speaking) {
      // A message that is still on its way is handled before this: then its run is the active one.
      this.#watch(this.#session.cancel())
      return
    }
    if (this.#mayLeave) {
      this.#end(0)
      return
    }
    this.#mayLeave = true
    this.#aside(() => this.#paper.note('Ctrl-C once more to leave'))
    this.#changed()
  }

  /** Somebody else may have ended the run or decided meanwhile: what they did is what the log shows. */
  #watch(command: Promise<unknown>): void {
    command.catch((error: unknown) => {
      if (!(error instanceof ParleyError)) throw error
      if (this.#over) return
      this.#aside(() => this.#paper.note(cleanText(error.message, { oneLine: true })))
      this.#changed()
    })
  }

  /** A key is about to reach the line editor. */
  #key(key: Key): void {
    if (key.ctrl === true || key.meta === true || this.#prompted || this.#over) return
    if (key.name === 'return' || key.name === 'enter') return
    this.#prompt()
    this.#paper.hold()
    // When the line is empty again, what was held back is shown.
    const onNext = (): void => {
      if (this.#reader.line !== '' || !this.#prompted) return
      this.#input.off('keypress', onNext)
      if (!this.#speaking) return
      this.#unprompt()
      this.#paper.release()
    }
    this.#input.on('keypress', onNext)
  }

  #prompt(): void {
    if (this.#prompted || !this.#tty) return
    this.#paper.startLine()
    this.#prompted = true
    this.#reader.prompt()
  }

  /** Takes an empty prompt away again. */
  #unprompt(): void {
    this.#prompted = false
    if (this.#tty) this.#paper.erasePrompt()
  }

  /** Writes something while a prompt may stand there, and puts the prompt back. */
  #aside(write: () => void): void {
    const again = this.#prompted
    if (again) this.#unprompt()
    this.#paper.release()
    write()
    if (!again || this.#over) return
    this.#prompted = true
    this.#reader.prompt(true)
    if (this.#reader.line !== '') this.#paper.hold()
  }

  /** Ctrl-D, or the end of the lines: what was asked is answered first. */
  #inputEnded(): void {
    if (this.#tty || !this.#speaking) {
      this.#end(0)
      return
    }
    this.#endings.push(
      this.#session.subscribe(() => {
        if (!this.#speaking) this.#end(0)
      }),
    )
  }

  #end(code: number): void {
    if (this.#over) return
    this.#over = true
    for (const ending of this.#endings.reverse()) ending()
    this.#reader.close()
    this.#paper.release()
    this.#paper.startLine()
    this.#leave(code)
  }
}
