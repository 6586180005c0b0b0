// Unfinished messages of clients whose user is known. Each connection may hold one, and nothing limited their sum: 300 connections of
// one user held 600 MB for as long as they answered pings between the fragments of a message.
import type { Socket } from 'node:net'
import { SignJWT } from 'jose'
import { afterEach, expect, test } from 'vitest'
import { TransportHarness } from '../test/transport-harness.ts'

const jwtSecret = 'a secret that is long enough for HS256'
const SOCKETS = 40
const MIB = 1024 * 1024
const PING = Buffer.from([0x89, 0])
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0])

let harness: TransportHarness

afterEach(async () => {
  await harness.close()
})

const tokenOf = (user: string) =>
  new SignJWT({ sub: user }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(jwtSecret))

async function greeted(user: string): Promise<Socket> {
  const hello = Buffer.from(JSON.stringify({ type: 'hello', token: await tokenOf(user) }))
  const socket = await harness.rawSocket()
  const welcome = new Promise((resolve) => socket.once('data', resolve))
  socket.on('error', () => undefined)
  socket.write(Buffer.concat([Buffer.from([0x81, 0xfe, hello.length >> 8, hello.length & 0xff, 0, 0, 0, 0]), hello]))
  await welcome
  return socket
}

/** The head of a frame of almost 2 MiB, and its content. */
function large(first: number, contentBytes: number): Buffer {
  const frame = Buffer.alloc(14 + contentBytes, 'x')
  frame.set([first, 0xff, 0, 0, 0, 0, 0, 0x1f, 0xff, 0, 0, 0, 0, 0])
  return frame
}

const LENGTH = 0x1fff00

async function fill(message: Buffer, answers: boolean): Promise<void> {
  harness = await TransportHarness.open({ auth: { jwtSecret }, unfinishedBytes: 32 * MIB })
  const other = await harness.connect()
  other.send({ type: 'hello', token: await tokenOf('bob') })
  await other.next('welcome')
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => greeted('ann')))
  const closed = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  for (const socket of sockets) {
    socket.on('data', (data: Buffer) => {
      if (answers && data.includes(PING)) socket.write(PONG)
    })
    socket.write(message)
  }
  await closed
  expect(harness.webSocket.connections).toBe(1)
  other.send({ type: 'ping' })
  await other.next('pong')
}

test('the WebSockets that are inside a message are dropped if the process grows, and no others', async () => {
  await fill(large(0x81, LENGTH - 1), false)
})

test('so are those of the user with the most, if they answer pings between the fragments of a message', async () => {
  await fill(large(0x01, LENGTH), true)
})
