// Drivers of HTTP streams: GET …/events and the answer of POST …/messages, as server-sent events or NDJSON.
import { makeId, type ServerFrame } from '@parley/protocol'
import { StreamReader } from '../../transports/test/stream-reader.ts'
import { accepted, type Item, type MessageRequest, Reading, type TransportDriver } from './transport-driver.ts'

type Form = 'sse' | 'ndjson'

const ACCEPT: Readonly<Record<Form, string>> = { sse: 'text/event-stream', ndjson: 'application/x-ndjson' }

/**
 * @param run whether to read the run only; the stream then ends with it
 * @param children whether to read its child runs, too
 */
export function eventsTransport(form: Form, run: boolean, children = false): TransportDriver {
  return {
    name: `GET ${form}${run ? ' of a run' : ''}${children ? ' and its children' : ''}`,
    finds: 'run',
    async begin(node, message) {
      const { run: id } = await sendAsync(node, message)
      return { message, reading: await this.resume(node, message, id, undefined) }
    },
    async resume(node, message, id, after) {
      const query = new URLSearchParams({ ...(run ? { run: id } : {}), ...(children ? { children: 'true' } : {}) })
      // The usual way of each form.
      const headers: Record<string, string> = { Accept: ACCEPT[form] }
      if (after !== undefined && form === 'sse') headers['Last-Event-ID'] = after
      else if (after !== undefined) query.set('after', after)
      return stream(`${node}/v1/sessions/${message.session}/events?${query}`, form, { headers })
    },
    ...(run ? {} : { cancel: postCancel }),
  }
}

/** The POST that starts the run also streams it. Repeated with the same key and a cursor, it resumes the stream. */
export function postTransport(form: Form): TransportDriver {
  const post = (node: string, message: MessageRequest, after: string | undefined): Promise<Reading> =>
    stream(`${node}/v1/sessions/${message.session}/messages`, form, {
      method: 'POST',
      headers: {
        Accept: ACCEPT[form],
        'Content-Type': 'application/json',
        'Idempotency-Key': message.id,
        ...(after === undefined ? {} : { 'Last-Event-ID': after }),
      },
      body: JSON.stringify({ content: message.content }),
    })
  return {
    name: `POST ${form}`,
    finds: 'key',
    begin: async (node, message) => ({ message, reading: await post(node, message, undefined) }),
    resume: (node, message, _run, after) => post(node, message, after),
  }
}

/** Sends a message without waiting for its run. */
export async function sendAsync(
  node: string,
  message: MessageRequest,
): Promise<{ readonly id: string; readonly run: string }> {
  const response = await fetch(`${node}/v1/sessions/${message.session}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': message.id, Prefer: 'respond-async' },
    body: JSON.stringify({
      content: message.content,
      ...(message.agent === undefined ? {} : { agent: message.agent }),
    }),
  })
  return (await (await accepted(response)).json()) as { id: string; run: string }
}

async function postCancel(node: string, session: string, run: string): Promise<void> {
  const response = await fetch(`${node}/v1/sessions/${session}/cancel`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': makeId('x') },
    body: JSON.stringify({ run }),
  })
  await (await accepted(response)).json()
}

async function stream(url: string, form: Form, init: RequestInit): Promise<Reading> {
  const disconnect = new AbortController()
  const response = await accepted(await fetch(url, { ...init, signal: disconnect.signal }))
  return new Reading(async function* () {
    // There is nothing after the end of a run.
    if (response.status === 204) return
    for await (const frame of frames(new StreamReader(response), form)) {
      const item = asItem(frame)
      if (item !== undefined) yield item
    }
  }, disconnect)
}

async function* frames(reader: StreamReader, form: Form): AsyncGenerator<ServerFrame, void, void> {
  if (form === 'ndjson') {
    for (let line = await reader.line(); line !== undefined; line = await reader.line()) yield JSON.parse(line)
    return
  }
  for (let event = await reader.next(); event !== undefined; event = await reader.next()) {
    const frame = JSON.parse(event.data) as ServerFrame
    // EventSource resumes from the id and dispatches by the event: both must match the entry.
    const expected = frame.type === 'entry' ? [frame.cursor, frame.event.type] : [undefined, frame.type]
    if (event.id !== expected[0] || event.event !== expected[1]) {
      throw new Error(`${event.id} ${event.event} instead of ${expected}`)
    }
    yield frame
  }
}

function asItem(frame: ServerFrame): Item | undefined {
  if (frame.type === 'entry') return { kind: 'entry', entry: frame }
  return frame.type === 'attached' && frame.reset === true ? { kind: 'reset' } : undefined
}
