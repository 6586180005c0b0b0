// OpenAI's clients in their WebSocket mode, against a real server: several responses on one socket, a cut, a cancel, steering.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TcpProxy } from '../../bench/cluster/tcp-proxy.ts'
import { demoCount } from '../../server/test/strict-client.ts'
import { type Client, ClientProcess } from './client-process.ts'
import { prepare } from './toolchains.ts'

const CLIENTS: readonly Client[] = [
  { name: 'openai (npm)', language: 'npm', id: 'openai', program: 'responses-socket' },
  { name: 'openai (Python)', language: 'python', id: 'openai', program: 'responses-socket' },
]
const SLOW = '/demo count=50 rate=10 ttft=0'

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server?.dispose())

describe.each(CLIENTS)('$name', (client) => {
  beforeAll(() => void prepare(client.language))

  function start(feature: string, prompt: string, at: { readonly port: number } = server): ClientProcess {
    const url = (port: number): string => `http://127.0.0.1:${port}/v1`
    const env = { BASE_URL: url(at.port), DIRECT_URL: url(server.port), MODEL: 'demo', PROMPT: prompt }
    const running = new ClientProcess(client, [feature], env)
    onTestFinished(() => running.kill())
    return running
  }

  async function outcome(running: ClientProcess): Promise<string | undefined> {
    await running.exit()
    return running.lines.at(-1)
  }

  it('gets several responses on one socket', async () => {
    const running = start('several', '/demo count=4 rate=0')
    const texts = Array.from({ length: 4 }, () => demoCount(4))
    expect(await outcome(running), running.report).toBe(texts.join(' | '))
  })

  it('loses nothing when the socket is cut in the middle of an answer', async () => {
    const proxy = await TcpProxy.open(server.port)
    onTestFinished(() => proxy.close())
    const running = start('cut', SLOW, proxy)
    await running.until(() => running.pieces >= 4)
    expect(running.lines, running.report).toEqual([])
    proxy.change({ kind: 'cut' })
    expect(await outcome(running), running.report).toBe(demoCount(50))
  })

  it('cancels a response', async () => {
    const running = start('cancel', SLOW)
    expect(await outcome(running), running.report).toBe('response.incomplete cancelled')
  })

  it('steers a response', async () => {
    const running = start('steer', SLOW)
    expect(await outcome(running), running.report).toBe(`steered, then ${demoCount(3)} true`)
  })
})
