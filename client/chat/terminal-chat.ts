// TerminalChat: a conversation in a terminal, line by line. A line during an answer interrupts the answer. Ctrl-C stops
// an answer; without one, Ctrl-C twice exits. Resolves with the exit code.
import { createInterface, type Interface, type Key } from 'node:readline'
import type { CallView, ParleyClient, Session } from '../index.ts'
import { ParleyError } from '../index.ts'
import { Approvals } from './approvals.ts'
import { ChatAgents } from './chat-agents.ts'
import type { ChatOptions } from './chat-options.ts'
import { cleanText } from './clean-text.ts'
import { ConnectionNotes } from './connection-notes.ts'
import { Questions } from './questions.ts'
import { TerminalOutput } from './terminal-output.ts'
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
  readonly #output: TerminalOutput
  readonly #printer: TranscriptPrinter
  readonly #approvals: Approvals
  readonly #questions: Questions
  readonly #agents: ChatAgents
  readonly #resolve: (code: number) => void
  /** Cleanups of `start`, which run in reverse order. */
  readonly #cleanups: (() => void)[] = []
  #isPrompted = false
  #isExitArmed = false
  #hasEnded = false
  /** Steps that wait until the agents' names are known. */
  #waiting = 0

  constructor(
    client: ParleyClient,
    session: Session,
    options: ChatOptions,
    { input, output }: Terminal,
    resolve: (code: number) => void,
  ) {
    this.#client = client
    this.#session = session
    this.#options = options
    this.#input = input
    this.#tty = input.isTTY === true && output.isTTY === true
    this.#agents = new ChatAgents(() => client.me(), options.agent)
    const completer = (line: string) => this.#agents.complete(line)
    this.#reader = createInterface({ input, output, terminal: this.#tty, prompt: this.#tty ? PROMPT : '', completer })
    this.#output = new TerminalOutput((text) => output.write(text), this.#tty)
    this.#printer = new TranscriptPrinter(this.#output)
    this.#approvals = new Approvals(session)
    this.#questions = new Questions(session)
    this.#resolve = resolve
  }

  start(): void {
    const { session: id, url } = this.#options
    this.#output.note(`session ${id} at ${url} (continue later with --session ${id})`)
    const notes = new ConnectionNotes((text) => this.#interleave(() => this.#output.note(text)))
    this.#cleanups.push(
      this.#client.subscribe(() => {
        notes.update(this.#client.state)
        if (this.#client.state.status === 'closed') this.#exit(1)
      }),
      this.#session.subscribe(() => this.#render()),
    )
    this.#reader.on('line', (line) => this.#line(line))
    this.#reader.on('close', () => this.#inputEnded())
    this.#reader.on('SIGINT', () => this.#interrupt())
    // Without a terminal, Ctrl-C arrives as a signal.
    const onSignal = (): void => this.#interrupt()
    process.on('SIGINT', onSignal)
    this.#cleanups.push(() => process.off('SIGINT', onSignal))
    if (this.#tty) {
      const onKey = (_: string | undefined, key: Key): void => this.#key(key)
      // Runs before the line editor handles the key, so that the person's input gets a line of its own.
      this.#input.prependListener('keypress', onKey)
      this.#cleanups.push(() => this.#input.off('keypress', onKey))
    }
    this.#render()
  }

  get #isAnswering(): boolean {
    const { activeRun, pending } = this.#session.state
    return activeRun !== undefined || pending.length > 0 || this.#waiting > 0
  }

  #render(): void {
    if (this.#hasEnded) return
    const view = this.#session.state
    if (view.error !== undefined) {
      this.#note(view.error.message)
      this.#exit(1)
      return
    }
    // The prompt is on the line where the answer would continue.
    if (this.#isPrompted && this.#reader.line !== '') this.#output.pause()
    else if (this.#isPrompted && this.#isAnswering) this.#removePrompt()
    this.#printer.print(view)
    const call = this.#approvals.next(view)
    if (call !== undefined) {
      const what = `${call.name}(${JSON.stringify(call.input)})`
      const where = call.where === 'client' ? 'on this machine' : 'on the server'
      this.#note(`${this.#callerOf(call)} wants to run ${what} ${where}. Allow? (y/n)`)
      this.#prompt()
      return
    }
    const question = this.#questions.next(view)
    if (question.length > 0) this.#ask(question)
    else if (!this.#isAnswering && view.status === 'live') {
      this.#prompt()
    }
  }

  #line(text: string): void {
    // Lines that were read before the end may still arrive.
    if (this.#hasEnded) return
    this.#isPrompted = false
    this.#isExitArmed = false
    this.#output.resume()
    const content = text.trim()
    const [, command, name = ''] = /^\/(stop|agent)(?:\s+(.*))?$/.exec(content) ?? []
    if (command === 'stop') this.#stop(name)
    else if (command === 'agent') this.#inOrder(true, () => this.#note(this.#agents.pick(name)))
    else if (this.#approvals.asked !== undefined && /^(y|yes|n|no)$/i.test(content)) {
      const decision = /^y/i.test(content) ? 'approve' : 'deny'
      this.#watch(this.#approvals.answer(decision))
    } else if (this.#questions.isAsking) {
      const next = this.#questions.line(content)
      if (next instanceof Promise) this.#watch(next)
      else this.#ask(next)
    } else if (content !== '') {
      this.#inOrder(content.startsWith('@'), () => this.#send(content))
    }
    this.#render()
  }

  #ask(lines: readonly string[]): void {
    this.#interleave(() => {
      for (const line of lines) this.#output.note(cleanText(line, { oneLine: true }))
    })
    this.#prompt()
  }

  #send(content: string): void {
    const { text, agent } = this.#agents.addressed(content)
    const { model } = this.#options
    const choice = { ...(model === undefined ? {} : { model }), ...(agent === undefined ? {} : { agent }) }
    const { seen } = this.#printer
    const reply = this.#isAnswering
      ? this.#session.redirect(text, { ...choice, ...(seen === undefined ? {} : { seen }) })
      : this.#session.send(text, choice)
    this.#printer.sent(reply.command)
    this.#watch(reply.accepted)
  }

  /** Takes a step now, or when the agents' names are known, if it or an earlier one needs them. */
  #inOrder(needsNames: boolean, step: () => void): void {
    if (this.#waiting === 0 && (!needsNames || this.#agents.isKnown)) {
      step()
      return
    }
    this.#waiting += 1
    const taken = this.#agents.known.then(() => {
      this.#waiting -= 1
      step()
      this.#render()
    })
    this.#watch(taken)
  }

  /** Stops one agent that works for the answer, or the answer itself. @param name as it is printed before its lines */
  #stop(name: string): void {
    const { working } = this.#printer.children
    const run = name === '' ? undefined : [...working].find(([, label]) => label === name)?.[0]
    if (run !== undefined || (name === '' && this.#isAnswering)) this.#watch(this.#session.cancel(run))
    else if (working.size === 0) this.#note(name === '' ? 'nothing to stop' : 'no other agent works for the answer')
    else this.#note(`no such agent. Working: ${[...working.values()].join(', ')}`)
  }

  #callerOf({ run }: CallView): string {
    return this.#printer.children.labelOf(run) ?? this.#session.state.runs.get(run)?.agent ?? 'the model'
  }

  #note(text: string): void {
    this.#interleave(() => this.#output.note(cleanText(text, { oneLine: true })))
  }

  /** Ctrl-C. */
  #interrupt(): void {
    if (this.#reader.line !== '' && this.#tty) {
      this.#reader.write(null, { ctrl: true, name: 'u' })
      this.#removePrompt()
      this.#output.resume()
      this.#render()
      return
    }
    if (this.#isAnswering) {
      // The server handles a message that is still being sent first: its run is then the active one.
      this.#watch(this.#session.cancel())
      return
    }
    if (this.#isExitArmed) {
      this.#exit(0)
      return
    }
    this.#isExitArmed = true
    this.#note('press Ctrl-C again to exit')
    this.#render()
  }

  /** Shows a command's error, unless it is a bug. Others may have ended the run or decided first. */
  #watch(command: Promise<unknown>): void {
    command.catch((error: unknown) => {
      if (!(error instanceof ParleyError)) throw error
      if (this.#hasEnded) return
      this.#note(error.message)
      this.#render()
    })
  }

  /** Handles a key before the line editor does. */
  #key(key: Key): void {
    if (key.ctrl === true || key.meta === true || this.#isPrompted || this.#hasEnded) return
    if (key.name === 'return' || key.name === 'enter') return
    this.#prompt()
    this.#output.pause()
    // When the line is empty again, the paused output continues.
    const onNext = (): void => {
      if (this.#reader.line !== '' || !this.#isPrompted) return
      this.#input.off('keypress', onNext)
      if (!this.#isAnswering) return
      this.#removePrompt()
      this.#output.resume()
    }
    this.#input.on('keypress', onNext)
  }

  #prompt(): void {
    if (this.#isPrompted || !this.#tty) return
    this.#output.startLine()
    this.#isPrompted = true
    this.#reader.prompt()
  }

  /** Removes an empty prompt. */
  #removePrompt(): void {
    this.#isPrompted = false
    if (this.#tty) this.#output.erasePrompt()
  }

  /** Writes while a prompt may be visible, and restores the prompt. */
  #interleave(write: () => void): void {
    const wasPrompted = this.#isPrompted
    if (wasPrompted) this.#removePrompt()
    this.#output.resume()
    write()
    if (!wasPrompted || this.#hasEnded) return
    this.#isPrompted = true
    this.#reader.prompt(true)
    if (this.#reader.line !== '') this.#output.pause()
  }

  /** Handles Ctrl-D and the end of piped input: pending answers come first. */
  #inputEnded(): void {
    if (this.#tty || !this.#isAnswering) {
      this.#exit(0)
      return
    }
    this.#cleanups.push(
      this.#session.subscribe(() => {
        if (!this.#isAnswering) this.#exit(0)
      }),
    )
  }

  #exit(code: number): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    for (const cleanup of this.#cleanups.reverse()) cleanup()
    this.#reader.close()
    this.#output.resume()
    this.#output.startLine()
    this.#resolve(code)
  }
}
