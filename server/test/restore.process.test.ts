// A server that loses its data and is restored from a backup: cursors from before the loss are reset, compacted
// sessions are complete, and for a manual copy the operator changes the epoch.
import { spawnSync } from 'node:child_process'
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount, StrictClient } from './strict-client.ts'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))
/** Enough numbers that a transcript is written. */
const MANY = 5_000

let server: ServerProcess
let client: StrictClient
let data: string
let copy: string
beforeEach(async () => {
  server = await ServerProcess.start()
  client = new StrictClient(server.url)
  data = join(server.data, 'data')
  copy = join(server.data, 'copy')
  await client.connect()
  await client.attach('s')
})
afterEach(async () => {
  client.drop()
  await server.dispose()
})

/** Sends a message, and waits for the end of its answer. */
async function ask(count: number): Promise<void> {
  const { run } = await client.send('s', `/demo count=${count} rate=0 ttft=0`)
  expect((await client.ended('s', run ?? '')).text).toBe(demoCount(count))
}

function command(...args: string[]) {
  const env = { PATH: process.env.PATH, HOME: server.data, PARLEY_DATA: data }
  return spawnSync(process.execPath, [MAIN, ...args], { env, encoding: 'utf8', timeout: 30_000 })
}

function messages(): string[] {
  return client
    .session('s')
    .events.flatMap((event) => (event.type === 'message' ? [JSON.stringify(event.content)] : []))
}

/** Deletes the data and replaces them with the copy. */
async function loseAndRestore(): Promise<void> {
  client.drop()
  await server.kill()
  rmSync(data, { recursive: true })
  renameSync(copy, data)
}

/** Reconnects with the cursor from before the loss, after the log has grown beyond it again. */
async function reconnect(): Promise<void> {
  await server.start()
  const other = new StrictClient(server.url)
  await other.connect()
  await other.attach('s')
  for (let i = 0; i < 3; i += 1) {
    const { run } = await other.send('s', `/demo count=${20 + i} rate=0 ttft=0`)
    await other.ended('s', run ?? '')
  }
  other.drop()
  const held = client.session('s')
  held.events.length = 0
  await client.connect()
  expect(await client.attach('s')).toMatchObject({ reset: true })
  await ask(5)
  expect(held.faults).toEqual([])
}

describe('a restored log', () => {
  it('from an online backup starts a new epoch automatically', async () => {
    await ask(MANY)
    expect(command('--backup', copy)).toMatchObject({ status: 0, stdout: `Copied the log to ${copy}.\n` })
    await ask(11)
    await loseAndRestore()
    await reconnect()
    const texts = messages()
    expect(texts.map((text) => /count=(\d+)/.exec(text)?.[1])).toEqual([String(MANY), '20', '21', '22', '5'])
  })

  it('from a manual copy starts a new epoch by a command', async () => {
    await ask(MANY)
    client.drop()
    expect(await server.stop()).toBe(0)
    cpSync(data, copy, { recursive: true })
    await server.start()
    await client.connect()
    await client.attach('s')
    await ask(11)
    expect(command('--new-epoch')).toMatchObject({ status: 1, stderr: expect.stringContaining('in use') })
    await loseAndRestore()
    expect(command('--new-epoch')).toMatchObject({ status: 0, stdout: expect.stringContaining('Changed the epoch') })
    await reconnect()
  })
})
