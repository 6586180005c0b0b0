// PipeChat: one message from a pipe, and its answer to another. Only the answer goes to stdout; remarks go to stderr.
import { buffer } from 'node:stream/consumers'
import type { ParleyClient, Session } from '../index.ts'
import { ParleyError, RestartedError } from '../index.ts'
import type { ChatOptions } from './chat-options.ts'
import { CleanText, cleanText } from './clean-text.ts'
import { ConnectionNotes } from './connection-notes.ts'

export interface Pipes {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  readonly errors: NodeJS.WritableStream
}

const INTERRUPTED = 130

/** @returns the exit code */
export async function pipeChat(
  client: ParleyClient,
  session: Session,
  options: ChatOptions,
  { input, output, errors }: Pipes,
): Promise<number> {
  const note = (text: string): void => void errors.write(`parley: ${cleanText(text, { oneLine: true })}\n`)
  const notes = new ConnectionNotes(note)
  client.subscribe(() => notes.update(client.state))
  const content = (await buffer(input)).toString('utf8').trim()
  if (content === '') {
    note('there is nothing to send: the input is empty')
    return 2
  }
  const reply = session.send(content, options.model === undefined ? {} : { model: options.model })
  let interrupted = false
  const onSignal = (): void => {
    if (interrupted) process.exit(INTERRUPTED)
    interrupted = true
    // Once the answer has ended by itself there is nothing left to cancel.
    reply.accepted.then(({ run }) => session.cancel(run)).catch((error: unknown) => note(String(error)))
  }
  process.on('SIGINT', onSignal)
  denyApprovals(session, note)
  const cleaner = new CleanText()
  try {
    for await (const text of reply.text()) output.write(cleaner.push(text))
    output.write('\n')
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error
    output.write('\n')
    note(error.message)
    // What is on stdout cannot be taken back: the new text is told apart by the exit code.
    if (error instanceof RestartedError) output.write(`${cleanText((await reply.result()).text)}\n`)
    return 1
  } finally {
    process.off('SIGINT', onSignal)
  }
  if (interrupted) return INTERRUPTED
  return (await reply.result()).status === 'completed' ? 0 : 1
}

/** Nobody is there to be asked. */
function denyApprovals(session: Session, note: (text: string) => void): void {
  const asked = new Set<string>()
  session.subscribe(() => {
    const { state } = session
    for (const id of state.open) {
      for (const part of state.runs.get(id)?.parts ?? []) {
        const call = part.type === 'tool' ? state.calls.get(part.call) : undefined
        if (call?.status !== 'deciding' || asked.has(call.id)) continue
        asked.add(call.id)
        note(`refused to run ${call.name}: nobody is here to allow it`)
        session.decide(call.id, 'deny', 'Nobody is at the terminal to allow it.').catch((error: unknown) => {
          if (!(error instanceof ParleyError)) throw error
        })
      }
    }
  })
}
