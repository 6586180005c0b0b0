// The WebSocket mode of OpenAI's client: responses-socket.mjs CLIENT FEATURE. Prints what the program in Python prints.
import process from 'node:process'
import OpenAI from 'openai'
import { ResponsesWS } from 'openai/resources/responses/ws'

const { BASE_URL: baseURL, DIRECT_URL, MODEL: model, PROMPT: prompt } = process.env
const apiKey = 'k'
const client = new OpenAI({ baseURL, apiKey })
const ws = new ResponsesWS(client)
const events = ws.stream()[Symbol.asyncIterator]()

function create(input, more = {}) {
  ws.send({ type: 'response.create', model, input, ...more })
}

/** Reads up to the end of a response, or of the socket. @returns its text, its last event, and its id */
async function read(onDelta = () => undefined) {
  const read = { text: '', last: undefined, id: '' }
  for (;;) {
    const { done, value = {} } = await events.next()
    const { type, message, error } = value
    if (done || type === 'close') return read
    if (type === 'error') throw error
    if (type !== 'message') continue
    read.last = message
    if (message.type === 'response.created') read.id = message.response.id
    if (message.type === 'response.output_text.delta') {
      process.stderr.write('piece\n')
      read.text += message.delta
      onDelta(read)
    }
    if (/^response\.(completed|incomplete|failed|steer\.failed)$/.test(message.type)) return read
  }
}

/** After some pieces, once. */
function after(pieces, act) {
  let count = 0
  return (read) => {
    count += 1
    if (count === pieces) act(read)
  }
}

const FEATURES = {
  async several() {
    const texts = []
    let previous = null
    for (let turn = 0; turn < 3; turn += 1) {
      create(prompt, { previous_response_id: previous })
      const { text, id } = await read()
      texts.push(text)
      previous = id
    }
    create(prompt, { store: false, stream_id: 'other' })
    texts.push((await read()).text)
    return texts.join(' | ')
  },

  async cut() {
    create(prompt)
    const { text, last, id } = await read()
    let whole = text
    const direct = new OpenAI({ baseURL: DIRECT_URL, apiKey })
    const rest = await direct.responses.retrieve(id, { stream: true, starting_after: last.sequence_number })
    for await (const event of rest) if (event.type === 'response.output_text.delta') whole += event.delta
    return whole
  },

  async cancel() {
    create(prompt)
    const { last } = await read(after(3, ({ id }) => void client.responses.cancel(id)))
    return `${last.type} ${last.response.status}`
  },

  async steer() {
    create(prompt)
    const steer = ({ id }) =>
      ws.send({ type: 'response.steer', previous_response_id: id, input: '/demo count=3 rate=0' })
    const { last, id } = await read(after(3, steer))
    const next = await read()
    const isNext = next.last.response.previous_response_id === id
    return `${last.response.incomplete_details?.reason}, then ${next.text} ${isNext}`
  },
}

try {
  process.stdout.write(`${await FEATURES[process.argv[3]]()}\n`)
} catch (error) {
  process.stdout.write(`failed: ${error.name}\n`)
  process.stderr.write(`${error.stack}\n`)
}
process.exit(0)
