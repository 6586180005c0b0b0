// A peer: Socket.IO over WebSockets, with connection state recovery in memory. A reader that reconnects within two
// minutes receives missed packets, if the process still runs.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { outputOf, servePeer } from './peer-source.ts'

const http = createServer()
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  perMessageDeflate: false,
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
})
io.on('connection', (socket) => {
  const { topic } = socket.handshake.query
  if (!socket.recovered && typeof topic === 'string') void socket.join(topic)
})
http.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
  servePeer((http.address() as AddressInfo).port, (topic, index) => {
    io.to(`t${topic}`).emit('out', JSON.parse(outputOf(topic, index)))
  })
})
