// PipeChat: sends one message from stdin and prints the answer. Only the answer goes to stdout; notes go to stderr.
import { buffer } from 'node:stream/consumers'
import type { ParleyClient, Reply, Session } from '../index.ts'
import { openQuestion, ParleyError, RestartedError } from '../index.ts'
import { openCalls } from '../session/open-calls.ts'
import { ChatAgents } from './chat-agents.ts'
import type { ChatOptions } from './chat-options.ts'
import { CleanText, cleanText } from './clean-text.ts'
import { ConnectionNotes } from './connection-notes.ts'
import { cutNote } from './run-printer.ts'

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
    note('nothing to send: the input is empty')
    return 2
  }
  const agents = new ChatAgents(() => client.me(), options.agent)
  if (content.startsWith('@')) await agents.known
  const { text: message, agent } = agents.addressed(content)
  let reply: Reply
  try {
    const { model } = options
    reply = session.send(message, {
      ...(model === undefined ? {} : { model }),
      ...(agent === undefined ? {} : { agent }),
    })
  } catch (error) {
    // The session ended while the input was read.
    if (!(error instanceof ParleyError)) throw error
    note(error.message)
    return 1
  }
  let interrupted = false
  const onSignal = (): void => {
    if (interrupted) process.exit(INTERRUPTED)
    interrupted = true
    // If the answer has ended meanwhile, there is nothing to cancel.
    reply.accepted.then(({ run }) => session.cancel(run)).catch((error: unknown) => note(String(error)))
  }
  process.on('SIGINT', onSignal)
  answerNone(session, note)
  const cleaner = new CleanText()
  try {
    for await (const text of reply.text()) output.write(cleaner.push(text))
    output.write('\n')
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error
    output.write('\n')
    note(error.message)
    // Text on stdout cannot be retracted. The new text follows, and the exit code shows the difference.
    if (error instanceof RestartedError) output.write(`${cleanText((await reply.result()).text)}\n`)
    return 1
  } finally {
    process.off('SIGINT', onSignal)
  }
  if (interrupted) return INTERRUPTED
  const run = await reply.result()
  if (run.cut === true) note(cutNote(run))
  return run.status === 'completed' ? 0 : 1
}

/** Denies all approvals and cancels all questions, because no one can be asked. */
function answerNone(session: Session, note: (text: string) => void): void {
  const asked = new Set<string>()
  const ignored = (error: unknown): void => {
    if (!(error instanceof ParleyError)) throw error
  }
  session.subscribe(() => {
    for (const call of openCalls(session.state)) {
      const question = openQuestion(call)
      if (call.status === 'deciding' && !asked.has(call.id)) {
        asked.add(call.id)
        note(`denied ${call.name}: no one is at the terminal to approve it`)
        session.decide(call.id, 'deny', 'No one is at the terminal to approve it.').catch(ignored)
      } else if (question !== undefined && !asked.has(question.id)) {
        asked.add(question.id)
        note(`did not answer ${call.name}: no one is at the terminal`)
        session.answer(call.id, question.id, 'cancel').catch(ignored)
      }
    }
  })
}
