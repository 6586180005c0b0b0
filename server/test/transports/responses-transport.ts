// The responses of the OpenAI API as a door of the contract: streamed, in the background, looked at again by their id, which
// names the run. They have events of their own, counted by themselves; that each goes on from any number is tested beside the door.
import { StreamReader } from '../../transports/test/stream-reader.ts'
import { accepted, type Door, type Item, Reading, type Whole } from './transport.ts'

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

export function responsesTransport(): Door {
  return {
    name: 'OpenAI responses',
    finds: 'run',
    async begin(node, ask) {
      const { reader, leave } = await open(`${node}/v1/responses`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': ask.id },
        body: JSON.stringify({ model: 'demo', input: ask.content, background: true, stream: true }),
      })
      const created = await nextEvent(reader)
      const id = created?.response?.id ?? ''
      const session = id.slice(id.indexOf('-') + 1)
      return { ask: { ...ask, session }, reading: read(reader, leave, 1) }
    },
    async resume(node, ask, run) {
      const { reader, leave } = await open(`${node}/v1/responses/resp_${run}-${ask.session}?stream=true`, {})
      return read(reader, leave, 0)
    },
    async cancel(node, session, run) {
      await accepted(await fetch(`${node}/v1/responses/resp_${run}-${session}/cancel`, { method: 'POST' }))
    },
  }
}

async function open(url: string, init: RequestInit) {
  const leave = new AbortController()
  const response = await accepted(await fetch(url, { ...init, signal: leave.signal }))
  return { reader: new StreamReader(response), leave }
}

async function nextEvent(reader: StreamReader): Promise<ResponseEvent | undefined> {
  const event = await reader.next()
  return event === undefined ? undefined : (JSON.parse(event.data) as ResponseEvent)
}

/** @param first the number of the event that comes next */
function read(reader: StreamReader, leave: AbortController, first: number): Reading {
  return new Reading(async function* (): AsyncGenerator<Item, void, void> {
    let text = ''
    let next = first
    for (let event = await nextEvent(reader); event !== undefined; event = await nextEvent(reader)) {
      const { type, sequence_number: number, delta = '', response } = event
      if (type === 'error') throw new Error('begun anew')
      if (number !== next) throw new Error(`event ${number} came after ${next - 1}`)
      next += 1
      if (type === 'response.output_text.delta') {
        text += delta
        yield { kind: 'piece', text }
      } else if (ENDS.includes(type) && response !== undefined) {
        const whole = wholeOf(response)
        if (whole.text !== text) throw new Error(`the whole is not what came: ${whole.text}, ${text}`)
        yield { kind: 'whole', whole }
      }
    }
  }, leave)
}

function wholeOf({ status, output }: ResponseObject): Whole {
  const parts = output.flatMap(({ content = [] }) => content)
  return { state: status, text: parts.map(({ type, text }) => (type === 'output_text' ? text : '')).join('') }
}
