// SSE clients in JavaScript: sse-clients.mjs CLIENT. Prints each event as `TYPE DATA`, and `end` when the stream is over.
import process from 'node:process'

const { URL: url } = process.env
const say = (type, data) => process.stdout.write(`${type} ${data}\n`)

async function eventSource(name) {
  const { EventSource } = await import(name)
  const source = new EventSource(url)
  // Version 5 lets the process exit while it waits to reconnect.
  const awake = setInterval(() => undefined, 60_000)
  for (const type of ['message', 'run.started', 'run.output', 'run.ended']) {
    source.addEventListener(type, ({ data }) => say(type, data))
  }
  source.addEventListener('error', ({ code }) => {
    if (source.readyState !== EventSource.CLOSED) return
    clearInterval(awake)
    process.stdout.write(code === 204 ? 'end\n' : `failed: ${code}\n`)
  })
}

async function fetchEventSource() {
  // It is written for pages.
  globalThis.window = globalThis
  globalThis.document = { hidden: false, addEventListener: () => undefined, removeEventListener: () => undefined }
  const { fetchEventSource: read } = await import('@microsoft/fetch-event-source')
  await read(url, { onmessage: ({ event, data }) => say(event, data) })
  process.stdout.write('end\n')
}

const [client] = process.argv.slice(2)
await (client === 'fetch-event-source' ? fetchEventSource() : eventSource(client))
