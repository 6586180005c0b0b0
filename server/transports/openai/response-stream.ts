// Streams the events of a response from the log, as server-sent events or in another format.
import type { StreamingExchange } from '../http/http-exchange.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { type ResponseEvent, ResponseEvents, type ResponseStep } from './response-events.ts'
import type { FoundResponse } from './response-lookup.ts'
import { headOf } from './response-object.ts'

export interface ResponseStreamOptions {
  /** Number of the last event that the client has; -1, the default, if it has none. */
  readonly after?: number
  /** Called when the client no longer needs this stream: it has the id of a stored response, or the end. */
  readonly done?: () => void
  /** An event as one chunk of the stream. */
  readonly format?: (event: ResponseEvent) => string
}

/** Resolves when the stream has begun; it continues in the background. @throws ReplyError, StorageError: nothing was sent */
export async function streamResponse(
  ports: OpenAiPorts,
  exchange: StreamingExchange,
  { name, found }: FoundResponse,
  { after = -1, done = () => undefined, format = asServerSentEvent }: ResponseStreamOptions = {},
): Promise<void> {
  const head = headOf(name, found)
  const events = new ResponseEvents(head, after)
  let isCreated = false
  await ports.streams.begin(exchange, name, found.record.order, (changes, out) => {
    const send = (step: ResponseStep): boolean => {
      for (const each of step.events) out.write(format(each))
      if (step.ended !== true) return false
      done()
      out.end()
      return true
    }
    if (!isCreated) {
      isCreated = true
      send(events.created())
      if (head.isStored) done()
    }
    for (const change of changes) if (send(events.take(change))) return
  })
}

function asServerSentEvent(event: ResponseEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}
