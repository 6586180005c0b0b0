// The ceiling: a bare uWebSockets.js server that publishes the same bytes at the same pace, with no log, no
// protocol, no model and no session behind the socket.
import uws, { type TemplatedApp } from 'uWebSockets.js'
import { nowMicros } from './bench-clock.ts'
import type { FromServer, Load, ToServer } from './bench-message.ts'
import { usageOf } from './usage.ts'

const send = (message: FromServer): void => {
  process.send?.(message)
}

const app: TemplatedApp = uws.App()
app.ws('/*', {
  upgrade(response, request, context) {
    const key = request.getHeader('sec-websocket-key')
    response.upgrade({ topic: request.getQuery() }, key, 'parley.v1.json', '', context)
  },
  open(socket) {
    socket.subscribe((socket.getUserData() as { topic: string }).topic)
  },
})
app.listen('127.0.0.1', 0, (listening) => {
  if (listening === false) throw new Error('cannot listen')
  send({ port: uws.us_socket_local_port(listening) })
})

process.on('message', (message: ToServer) => {
  if (message.ask === 'usage') {
    send(usageOf(message))
  } else if (message.ask === 'publish') {
    publish(message.load)
  } else {
    process.exit(0)
  }
})

/** Evenly over the topics: each tick publishes what has become due since the last. */
function publish({ topics, rate, seconds }: Load): void {
  const begin = performance.now()
  let published = 0
  const timer = setInterval(() => {
    const elapsed = performance.now() - begin
    const due = Math.floor((Math.min(elapsed, seconds * 1_000) / 1_000) * rate * topics)
    for (; published < due; published += 1) {
      const topic = published % topics
      const text = ` ${String(nowMicros()).padStart(16, '0')}`
      app.publish(
        `t${topic}`,
        `{"type":"entry","session":"bench_${topic}","cursor":"NywGOEU489gj.${published}","time":${Date.now()},"event":{"type":"run.output","run":"run_01m827h681000pdsw8zad90fx","index":${published},"kind":"text","text":"${text}"}}`,
      )
    }
    if (elapsed > seconds * 1_000) clearInterval(timer)
  }, 1)
}
