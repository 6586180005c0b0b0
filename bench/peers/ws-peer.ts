// A peer: the ws library, with a set of sockets per topic. A reader that reconnects has missed everything in between.
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { outputOf, servePeer } from './peer-source.ts'

const topics = new Map<string, Set<WebSocket>>()
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, clientTracking: false, backlog: 4_096 })
server.on('connection', (socket, request) => {
  const topic = (request.url ?? '').slice(2)
  const sockets = topics.get(topic) ?? new Set()
  topics.set(topic, sockets.add(socket))
  socket.on('error', () => socket.terminate())
  socket.on('close', () => sockets.delete(socket))
})
server.on('listening', () => {
  servePeer((server.address() as AddressInfo).port, (topic, index) => {
    const output = outputOf(topic, index)
    for (const socket of topics.get(`t${topic}`) ?? []) {
      if (socket.readyState === WebSocket.OPEN) socket.send(output)
    }
  })
})
