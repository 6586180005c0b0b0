// A peer, and the lower bound of cost: uWebSockets.js alone, without log, protocol, model or session. A reader that
// reconnects has missed everything in between.

import { loadUws, type TemplatedApp } from '@parley/server/internal/transports/uws'
import { outputOf, servePeer } from './peer-source.ts'

const { uws } = loadUws()
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
  if (listening === false) throw new Error('cannot listen on 127.0.0.1')
  servePeer(uws.us_socket_local_port(listening), (topic, index) => app.publish(`t${topic}`, outputOf(topic, index)))
})
