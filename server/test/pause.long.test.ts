// A server that is paused for longer than every timeout, such as a suspended or migrated machine, and resumed: no
// answer loses a token or its end, and the log accepts new entries.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { StrictClient } from './strict-client.ts'

const SESSIONS = 40
const COUNT = 3_000
const PAUSE_MS = 75_000
const WHOLE = Array.from({ length: COUNT }, (_, index) => String(index)).join(' ')

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server.dispose())

it('answers continue where they were when a paused server resumes', { timeout: 300_000 }, async () => {
  const names = Array.from({ length: SESSIONS }, (_, index) => `s${index}`)
  const clients = await Promise.all(
    names.map(async (name) => {
      const client = new StrictClient(server.url)
      await client.connect()
      await client.attach(name)
      return client
    }),
  )
  const runs = await Promise.all(
    clients.map((client, index) => client.send(names[index] ?? '', `/demo count=${COUNT} rate=500 seed=${index}`)),
  )
  await sleep(1_000)
  server.stall()
  await sleep(PAUSE_MS)
  server.resume()
  // Connections may be lost during the pause, so the client reconnects.
  const again = new StrictClient(server.url)
  await again.connect()
  for (const [index, name] of names.entries()) {
    await again.attach(name)
    const picture = await again.ended(name, runs[index]?.run ?? '')
    expect(picture.ended, name).toMatchObject({ reason: 'completed' })
    expect(picture.text).toBe(WHOLE)
    expect(again.session(name).faults).toEqual([])
  }
  const { run = '' } = await again.send('s0', '/demo count=5 rate=0')
  expect((await again.ended('s0', run)).text).toBe('0 1 2 3 4')
  for (const client of [...clients, again]) client.drop()
})
