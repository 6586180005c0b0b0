// HTTP's streams as doors of the contract: GET …/events and the POST's own answer, as server-sent events or as lines.
import { makeId, type ServerFrame } from '@parley/protocol'
import { StreamReader } from '../../transports/test/stream-reader.ts'
import { type Ask, accepted, type Door, type Item, Reading } from './transport.ts'

type Form = 'sse' | 'ndjson'

const ACCEPT: Readonly<Record<Form, string>> = { sse: 'text/event-stream', ndjson: 'application/x-ndjson' }

/** @param run whether only the run is read, and the stream ends with it */
export function eventsTransport(form: Form, run: boolean): Door {
  return {
    name: `GET ${form}${run ? ' of a run' : ''}`,
    finds: 'run',
    async begin(node, ask) {
      const { run: id } = await sendAsync(node, ask)
      return { ask, reading: await this.resume(node, ask, id, undefined) }
    },
    async resume(node, ask, id, after) {
      const query = new URLSearchParams(run ? { run: id } : {})
      // As each form's clients do it.
      const headers: Record<string, string> = { Accept: ACCEPT[form] }
      if (after !== undefined && form === 'sse') headers['Last-Event-ID'] = after
      else if (after !== undefined) query.set('after', after)
      return stream(`${node}/v1/sessions/${ask.session}/events?${query}`, form, { headers })
    },
    ...(run ? {} : { cancel: postCancel }),
  }
}

/** The POST that begins the run streams it; sent again with its key and a cursor, it goes on. */
export function postTransport(form: Form): Door {
  const post = (node: string, ask: Ask, after: string | undefined): Promise<Reading> =>
    stream(`${node}/v1/sessions/${ask.session}/messages`, form, {
      method: 'POST',
      headers: {
        Accept: ACCEPT[form],
        'Content-Type': 'application/json',
        'Idempotency-Key': ask.id,
        ...(after === undefined ? {} : { 'Last-Event-ID': after }),
      },
      body: JSON.stringify({ content: ask.content }),
    })
  return {
    name: `POST ${form}`,
    finds: 'key',
    begin: async (node, ask) => ({ ask, reading: await post(node, ask, undefined) }),
    resume: (node, ask, _run, after) => post(node, ask, after),
  }
}

/** A message whose run nobody waits for here. */
export async function sendAsync(node: string, ask: Ask): Promise<{ readonly id: string; readonly run: string }> {
  const response = await fetch(`${node}/v1/sessions/${ask.session}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': ask.id, Prefer: 'respond-async' },
    body: JSON.stringify({ content: ask.content }),
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
  const leave = new AbortController()
  const response = await accepted(await fetch(url, { ...init, signal: leave.signal }))
  return new Reading(async function* () {
    // Past the end of a run there is nothing.
    if (response.status === 204) return
    for await (const frame of frames(new StreamReader(response), form)) {
      const item = asItem(frame)
      if (item !== undefined) yield item
    }
  }, leave)
}

async function* frames(reader: StreamReader, form: Form): AsyncGenerator<ServerFrame, void, void> {
  if (form === 'ndjson') {
    for (let line = await reader.line(); line !== undefined; line = await reader.line()) yield JSON.parse(line)
    return
  }
  for (let event = await reader.next(); event !== undefined; event = await reader.next()) {
    const frame = JSON.parse(event.data) as ServerFrame
    // What EventSource would come back with, and listen to, is what the entry says.
    const told = frame.type === 'entry' ? [frame.cursor, frame.event.type] : [undefined, frame.type]
    if (event.id !== told[0] || event.event !== told[1]) throw new Error(`${event.id} ${event.event} tells ${told}`)
    yield frame
  }
}

function asItem(frame: ServerFrame): Item | undefined {
  if (frame.type === 'entry') return { kind: 'entry', entry: frame }
  return frame.type === 'attached' && frame.reset === true ? { kind: 'reset' } : undefined
}
