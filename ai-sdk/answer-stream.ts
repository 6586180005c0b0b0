// answerStream: the chunks of a run as a stream that ends with the run, or where the run waits for the chat. It reads
// the session only when its reader asks, so that it needs no buffer. A lost connection only makes it wait: the session
// reconnects and continues.
import type { ParleyError, Session, SessionView } from '@parley/client'
import type { UIMessageChunk } from 'ai'
import type { AnswerChunks } from './answer-chunks.ts'
import type { ChatTools } from './chat-tools.ts'

export interface StreamPorts {
  readonly session: Session
  readonly tools: ChatTools
  /** @returns the answer to stream, `taken` if another run's stream shows it, undefined if that is not known yet */
  find(view: SessionView): AnswerChunks | 'taken' | undefined
  /** Called once. @param parked the answer, if it waits for the chat */
  ended(parked?: AnswerChunks): void
  readonly signal?: AbortSignal | undefined
}

export function answerStream({ session, tools, find, ended, signal }: StreamPorts): ReadableStream<UIMessageChunk> {
  let wake = (): void => undefined
  let failure: ParleyError | undefined
  let isClosed = false
  const changed = (): void => wake()
  const subscriptions = [
    session.subscribe(changed),
    tools.subscribe(changed),
    session.watch({
      ended: (error) => {
        failure = error
        wake()
      },
    }),
  ]
  const close = (parked?: AnswerChunks): void => {
    if (isClosed) return
    isClosed = true
    for (const unsubscribe of subscriptions) unsubscribe()
    signal?.removeEventListener('abort', changed)
    ended(parked)
    wake()
  }
  signal?.addEventListener('abort', changed)
  return new ReadableStream<UIMessageChunk>(
    {
      async pull(controller) {
        for (;;) {
          if (isClosed) return
          const answer = signal?.aborted === true ? 'taken' : find(session.state)
          if (answer === 'taken') {
            close()
            controller.close()
            return
          }
          const { chunks, phase } = answer?.take(session.state) ?? { chunks: [], phase: 'open' }
          for (const chunk of chunks) controller.enqueue(chunk)
          if (phase !== 'open') {
            close(phase === 'parked' ? answer : undefined)
            controller.close()
            return
          }
          if (chunks.length > 0) return
          if (failure !== undefined) {
            close()
            controller.error(failure)
            return
          }
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      },
      // A reader that goes away is not a stop: only the signal is.
      cancel: () => close(),
    },
    { highWaterMark: 0 },
  )
}
