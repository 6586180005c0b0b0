// The server as a process: its start, its messages, its exit codes and its shutdown.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { TestClient } from '../transports/test/test-client.ts'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

let folder: string
let started: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-main-'))
})

afterEach(() => {
  for (const child of started) child.kill('SIGKILL')
  started = []
  rmSync(folder, { recursive: true, force: true })
})

interface Run {
  readonly child: ChildProcess
  readonly lines: Record<string, unknown>[]
  stdout: string
  stderr: string
  readonly exited: Promise<number | null>
  line(match: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
}

function run(env: Record<string, string> = {}, args: readonly string[] = []): Run {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', PARLEY_PORT: '0', PARLEY_DRAIN: '2', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  const waiting = new Set<() => void>()
  const result: Run = {
    child,
    lines: [],
    stdout: '',
    stderr: '',
    exited: new Promise((resolve) => child.once('close', resolve)),
    async line(match) {
      return new Promise((resolve, reject) => {
        const check = (): void => {
          const found = result.lines.find(match)
          if (found !== undefined) resolve(found)
        }
        waiting.add(check)
        child.once('close', (code) => reject(new Error(`exited with ${code}: ${result.stderr}`)))
        check()
      })
    },
  }
  let rest = ''
  child.stdout?.on('data', (data: Buffer) => {
    result.stdout += data
    const lines = (rest + data).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('{')) result.lines.push(JSON.parse(line))
    for (const check of waiting) check()
  })
  child.stderr?.on('data', (data: Buffer) => {
    result.stderr += data
  })
  return result
}

/** The demo model's answer for `/demo count=N`. */
const counted = (count: number) => Array.from({ length: count }, (_, index) => index).join(' ')

const isListening = (line: Record<string, unknown>) => line.listening === true

describe('a start', () => {
  test('logs one line with its URL, the data folder and the model, and listens there', async () => {
    const server = run()
    const line = await server.line(isListening)
    expect(line).toMatchObject({ msg: 'listening', model: 'demo', data: join(folder, 'data'), version: '0.1.0' })
    expect(line.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(line.hint).toMatch(/PARLEY_MODEL/)
    expect((await fetch(`${line.url}/readyz`)).status).toBe(200)
    expect((await fetch(`${line.url}/`)).headers.get('content-type')).toMatch('text/html')
    expect(server.lines.filter(isListening)).toHaveLength(1)
  })

  test('logs that line at every log level', async () => {
    await run({ PARLEY_LOG_LEVEL: 'error' }).line(isListening)
  })

  test('answers --help with every setting, and --version', async () => {
    const help = run({}, ['--help'])
    expect(await help.exited).toBe(0)
    for (const word of ['PARLEY_HOST', 'PARLEY_JWT_SECRET', 'OPENAI_API_KEY', 'parley.config']) {
      expect(help.stdout).toContain(word)
    }
    const version = run({}, ['--version'])
    expect(await version.exited).toBe(0)
    expect(version.stdout).toBe('0.1.0\n')
    const unknown = run({}, ['--wat'])
    expect(await unknown.exited).toBe(2)
  })

  const refused: [Record<string, string>, RegExp][] = [
    [{ PARLEY_PROT: '1' }, /^PARLEY_PROT is not a setting/],
    [{ PARLEY_PORT: 'x' }, /^PARLEY_PORT must be/],
    [{ PARLEY_HOST: '0.0.0.0' }, /PARLEY_HOST 0\.0\.0\.0 .* PARLEY_JWT_SECRET or PARLEY_JWKS_URL/],
    [{ PARLEY_MODEL: 'openai:gpt-5' }, /OPENAI_API_KEY must be set/],
    [{ PARLEY_MODEL: 'nonsense' }, /^PARLEY_MODEL/],
    [{ PARLEY_JWT_SECRET_FILE: 'none' }, /^PARLEY_JWT_SECRET_FILE none cannot be used: ENOENT/],
  ]
  for (const [env, message] of refused) {
    test(`exits with code 2 for ${JSON.stringify(env)}`, async () => {
      const server = run(env)
      expect(await server.exited).toBe(2)
      expect(server.stderr).toMatch(message)
      expect(server.stdout).toBe('')
    })
  }

  test('listens beyond loopback with a secret', async () => {
    const line = await run({ PARLEY_HOST: '0.0.0.0', PARLEY_JWT_SECRET: 'a secret of some length, for tests' }).line(
      isListening,
    )
    expect(line.url).toMatch(/^http:\/\/localhost:\d+$/)
  })

  test('listens beyond loopback without authentication if that is enabled', async () => {
    const line = await run({ PARLEY_HOST: '0.0.0.0', PARLEY_ANONYMOUS: 'yes' }).line(isListening)
    expect(line.url).toMatch(/^http:\/\/localhost:\d+$/)
  })

  /** As on a system on which builds of uWebSockets.js cannot be loaded. */
  const without = (...packages: string[]): Record<string, string> => {
    const code = `import Module from 'node:module'
      const load = Module._load
      Module._load = (name, ...more) => {
        if (${JSON.stringify(packages)}.includes(name)) throw new Error('cannot load ' + name)
        return load(name, ...more)
      }`
    return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(code)}` }
  }

  test('warns if only the old build of uWebSockets.js can be loaded', async () => {
    const server = run(without('@btc-vision/uwebsockets.js'))
    await server.line(isListening)
    const warning = server.lines.find(({ level }) => level === 'warn')
    expect(warning).toMatchObject({ msg: 'old build of uWebSockets.js in use', nodeVersion: process.versions.node })
  })

  test('exits with code 1 if no build of uWebSockets.js can be loaded', async () => {
    const server = run(without('@btc-vision/uwebsockets.js', 'uwebsockets'))
    expect(await server.exited).toBe(1)
    expect(server.stderr).toMatch(
      /^uWebSockets\.js cannot be loaded by Node\.js .* Use Node\.js 20, 22, 24 or 25 .*\n$/,
    )
    expect(server.stdout).toBe('')
  })

  test('exits with code 1 if the port is in use', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const port = String((other.address() as AddressInfo).port)
    const server = run({ PARLEY_PORT: port })
    expect(await server.exited).toBe(1)
    expect(server.stderr).toContain(`PARLEY_PORT ${port} on 127.0.0.1 is already in use`)
    other.close()

    const first = await run().line(isListening)
    const second = run({ PARLEY_PORT: new URL(String(first.url)).port, PARLEY_DATA: './other' })
    expect(await second.exited).toBe(1)
  })

  test('exits with code 1 if another process uses the data folder', async () => {
    await run().line(isListening)
    const second = run()
    expect(await second.exited).toBe(1)
    expect(second.stderr).toMatch(/^PARLEY_DATA: cannot open the log in /)
  })
})

describe('a shutdown', () => {
  test('by SIGTERM notifies clients and exits with code 0, and a restart continues with the data', async () => {
    const server = run()
    const line = await server.line(isListening)
    const url = `${String(line.url).replace('http', 'ws')}/v1/ws`
    const client = new TestClient(url)
    await client.opened
    client.send({ type: 'hello' })
    client.send({ type: 'attach', id: 'a', session: 's' })
    client.send({ type: 'send', id: 'm', session: 's', content: '/demo count=20 rate=0 ttft=0' })
    await client.next('ok', 'm')
    await client.when(() => client.entries('s').some(({ event }) => event.type === 'run.ended'))
    server.child.kill('SIGTERM')
    expect(await client.next('goaway')).toMatchObject({ reason: 'the node is shutting down' })
    expect((await client.closed).code).toBe(4503)
    expect(await server.exited).toBe(0)

    const next = run({ PARLEY_PORT: new URL(String(line.url)).port })
    await next.line(isListening)
    const again = new TestClient(url)
    await again.opened
    again.send({ type: 'hello' })
    again.send({ type: 'attach', id: 'a', session: 's' })
    await again.next('live')
    const ended = again.entries('s').find(({ event }) => event.type === 'run.ended')
    expect(ended?.event).toMatchObject({ reason: 'completed', output: [{ type: 'text', text: counted(20) }] })
    again.destroy()
  })

  test('is immediate without clients and runs', async () => {
    const server = run({ PARLEY_DRAIN: '3600' })
    await server.line(isListening)
    server.child.kill('SIGINT')
    expect(await server.exited).toBe(0)
  })

  test('still accepts clients for a moment, for load balancers that poll /readyz', async () => {
    const server = run({ PARLEY_DRAIN: '20' })
    const url = String((await server.line(isListening)).url)
    const connect = async (): Promise<TestClient> => {
      const client = new TestClient(`${url.replace('http', 'ws')}/v1/ws`)
      await client.opened
      client.send({ type: 'hello' })
      await client.next('welcome')
      return client
    }
    const ready = async (): Promise<number> => (await fetch(`${url}/readyz`)).status
    const before = await connect()
    expect(await ready()).toBe(200)
    server.child.kill('SIGTERM')
    await vi.waitFor(async () => expect(await ready()).toBe(503), { timeout: 20_000, interval: 20 })
    const late = await connect()
    await Promise.all([before.next('goaway'), late.next('goaway')])
    await expect(connect()).rejects.toThrow('503')
    before.socket.close()
    late.socket.close()
    expect(await server.exited).toBe(0)
  })

  test('waits for an active run to end', async () => {
    const server = run({ PARLEY_DRAIN: '30' })
    const line = await server.line(isListening)
    const client = new TestClient(`${String(line.url).replace('http', 'ws')}/v1/ws`)
    await client.opened
    client.send({ type: 'hello' })
    client.send({ type: 'attach', id: 'a', session: 's' })
    client.send({ type: 'send', id: 'm', session: 's', content: '/demo count=20 rate=40 ttft=0' })
    await client.when(() => client.indexes('s').length > 2)
    server.child.kill('SIGTERM')
    await client.next('goaway')
    await client.when(() => client.entries('s').some(({ event }) => event.type === 'run.ended'))
    expect(client.text('s')).toBe(counted(20))
    client.socket.close()
    expect(await server.exited).toBe(0)
  })

  test('by a second signal is immediate', async () => {
    const server = run({ PARLEY_DRAIN: '3600' })
    const line = await server.line(isListening)
    const client = new TestClient(`${String(line.url).replace('http', 'ws')}/v1/ws`)
    await client.opened
    client.send({ type: 'hello' })
    await client.next('welcome')
    server.child.kill('SIGTERM')
    await client.next('goaway')
    server.child.kill('SIGTERM')
    expect(await server.exited).toBe(130)
  })
})
