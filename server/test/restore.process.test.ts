// A server that loses its data and starts again from a backup: nobody mistakes what came before the loss for what comes
// after it, folded sessions are as they were, and a copy that was made by hand is told by its operator.
import { spawnSync } from 'node:child_process'
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount, StrictClient } from './strict-client.ts'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))
/** Numbers enough for a transcript to be written. */
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

/** Sends, and waits for the answer's end. */
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

/** The data are lost, and the copy takes their place. */
async function loseAndRestore(): Promise<void> {
  client.drop()
  await server.kill()
  rmSync(data, { recursive: true })
  renameSync(copy, data)
}

/** Comes back with the cursor from before the loss, after as many entries as were lost have come. */
async function comeBack(): Promise<void> {
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
  it('that was backed up under way begins a new epoch by itself', async () => {
    await ask(MANY)
    expect(command('--backup', copy)).toMatchObject({ status: 0, stdout: `The log was copied to ${copy}.\n` })
    await ask(11)
    await loseAndRestore()
    await comeBack()
    const told = messages()
    expect(told.map((text) => /count=(\d+)/.exec(text)?.[1])).toEqual([String(MANY), '20', '21', '22', '5'])
  })

  it('that was copied by hand begins one by a command', async () => {
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
    expect(command('--new-epoch')).toMatchObject({ status: 0, stdout: expect.stringContaining('epoch was') })
    await comeBack()
  })
})
