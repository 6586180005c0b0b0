// Driver of the OpenAI API's responses: background responses that are streamed, and streamed again by their id, which
// contains the run. They have their own events and numbers; responses.test.ts tests that a stream resumes from any
// number.
import { StreamReader } from '../../transports/test/stream-reader.ts'
import { accepted, type FinalResult, type Item, Reading, type TransportDriver } from './transport-driver.ts'

interface ResponseObject {
  readonly id: string
  readonly status: string
  readonly output: readonly { readonly content?: readonly { readonly type: string; readonly text?: string }[] }[]
}

interface ResponseEvent {
  readonly type: string
  readonly sequence_number: number
  readonly delta?: string
  readonly response?: ResponseObject
}

const ENDS = ['response.completed', 'response.incomplete', 'response.failed']

export function responsesTransport(): TransportDriver {
  return {
    name: 'OpenAI responses',
    finds: 'run',
    async begin(node, message) {
      const { reader, disconnect } = await open(`${node}/v1/responses`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': message.id },
        body: JSON.stringify({ model: 'demo', input: message.content, background: true, stream: true }),
      })
      const created = await nextEvent(reader)
      const id = created?.response?.id ?? ''
      const session = id.slice(id.indexOf('-') + 1)
      return { message: { ...message, session }, reading: read(reader, disconnect, 1) }
    },
    async resume(node, message, run) {
      const { reader, disconnect } = await open(`${node}/v1/responses/resp_${run}-${message.session}?stream=true`, {})
      return read(reader, disconnect, 0)
    },
    async cancel(node, session, run) {
      await accepted(await fetch(`${node}/v1/responses/resp_${run}-${session}/cancel`, { method: 'POST' }))
    },
  }
}

async function open(url: string, init: RequestInit) {
  const disconnect = new AbortController()
  const response = await accepted(await fetch(url, { ...init, signal: disconnect.signal }))
  return { reader: new StreamReader(response), disconnect }
}

async function nextEvent(reader: StreamReader): Promise<ResponseEvent | undefined> {
  const event = await reader.next()
  return event === undefined ? undefined : (JSON.parse(event.data) as ResponseEvent)
}

/** @param first the number of the next event */
function read(reader: StreamReader, disconnect: AbortController, first: number): Reading {
  return new Reading(async function* (): AsyncGenerator<Item, void, void> {
    let text = ''
    let next = first
    for (let event = await nextEvent(reader); event !== undefined; event = await nextEvent(reader)) {
      const { type, sequence_number: number, delta = '', response } = event
      if (type === 'error') throw new Error('the stream failed')
      if (number !== next) throw new Error(`event ${number} came after ${next - 1}`)
      next += 1
      if (type === 'response.output_text.delta') {
        text += delta
        yield { kind: 'text', text }
      } else if (ENDS.includes(type) && response !== undefined) {
        const result = resultOf(response)
        if (result.text !== text) throw new Error(`the result is ${result.text}, but the stream was ${text}`)
        yield { kind: 'result', result }
      }
    }
  }, disconnect)
}

function resultOf({ status, output }: ResponseObject): FinalResult {
  const parts = output.flatMap(({ content = [] }) => content)
  return { state: status, text: parts.map(({ type, text }) => (type === 'output_text' ? text : '')).join('') }
}
