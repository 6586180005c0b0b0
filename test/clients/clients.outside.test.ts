// Clients from the registries, at pinned versions, against a real server, whose model provider is scripted.
// EXPECTED_FAILURES lists what does not work, with the reason; an unexpected pass fails as well.
import { makeId } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TcpProxy } from '../../bench/cluster/tcp-proxy.ts'
import { type Client, ClientProcess } from './client-process.ts'
import { EXPECTED_FAILURES } from './expected-failures.ts'
import { prepare } from './toolchains.ts'
import { SLOW_PIECES, Upstream } from './upstream.ts'

const OPENAI: readonly Client[] = [
  { name: 'openai (Python), chat', language: 'python', id: 'chat' },
  { name: 'openai (Python), responses', language: 'python', id: 'responses' },
  { name: 'openai-agents', language: 'python', id: 'agents' },
  { name: 'langchain-openai', language: 'python', id: 'langchain' },
  { name: 'pydantic-ai', language: 'python', id: 'pydantic-ai' },
  { name: 'openai (npm)', language: 'npm', id: 'openai' },
  { name: 'AI SDK', language: 'npm', id: 'ai-sdk' },
  { name: 'LangChain.js', language: 'npm', id: 'langchain' },
  { name: 'go-openai', language: 'go', id: 'go-openai' },
  { name: 'async-openai', language: 'rust', id: 'async-openai' },
  { name: 'openai-java', language: 'java', id: 'openai' },
  { name: 'langchain4j', language: 'java', id: 'langchain4j' },
]

interface SseClient extends Client {
  /** Does it reconnect, with its last id, without the program's help? */
  readonly resumes: boolean
}

const SSE: readonly SseClient[] = [
  { name: 'httpx-sse', language: 'python', id: 'httpx-sse', resumes: false },
  { name: 'requests', language: 'python', id: 'requests', resumes: false },
  { name: 'eventsource 4', language: 'npm', id: 'eventsource-4', resumes: true },
  { name: 'eventsource 5', language: 'npm', id: 'eventsource-5', resumes: true },
  { name: 'fetch-event-source', language: 'npm', id: 'fetch-event-source', resumes: true },
  { name: 'go-sse', language: 'go', id: 'go-sse', resumes: true },
  { name: 'r3labs/sse', language: 'go', id: 'r3labs', resumes: true },
  { name: 'launchdarkly eventsource', language: 'go', id: 'launchdarkly', resumes: true },
  { name: 'reqwest-eventsource', language: 'rust', id: 'reqwest-eventsource', resumes: true },
]

/** The last line that each feature must print, given a prompt. */
const FEATURES = [
  { feature: 'plain', prompt: 'Hello', prints: /^Turn 1$/ },
  { feature: 'stream', prompt: 'Hello', prints: /^Turn 1$/ },
  { feature: 'tools', prompt: 'How warm is it?', prints: /^It is 12 degrees\.$/ },
  { feature: 'structured', prompt: 'Where is it warm?', prints: /^Oslo 12$/ },
  { feature: 'second', prompt: 'Hello', prints: /^Turn 2 after Turn 1$/ },
] as const

const FAILED = /^failed: /
/** Pieces that a client must have received before its connection or its server goes away. */
const BEGUN = 4

/** Numbers of the demo model's answer, and numbers per second. */
const COUNT = 50
const RATE = 10
/** The last event must arrive this soon after the server stored it, not with the next heartbeat. */
const LATE_MS = 3_000

let upstream: Upstream
let server: ServerProcess
const disposals: (() => unknown)[] = []

beforeAll(async () => {
  upstream = await Upstream.start()
  server = await startServer()
})
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose()
})
afterAll(async () => {
  await server?.dispose()
  await upstream?.close()
})

function startServer(): Promise<ServerProcess> {
  return ServerProcess.start({
    PARLEY_MODELS: 'demo,compatible:up',
    PARLEY_COMPATIBLE_URL: upstream.url,
    PARLEY_REQUEST_RATE: '10000',
    // Shorter than the answers of these tests.
    PARLEY_DRAIN: '1',
  })
}

async function startDisposableServer(): Promise<ServerProcess> {
  const own = await startServer()
  disposals.push(() => own.dispose())
  return own
}

async function openProxy(): Promise<TcpProxy> {
  const proxy = await TcpProxy.open(server.port)
  disposals.push(() => proxy.close())
  return proxy
}

function origin({ port }: { readonly port: number }): string {
  return `http://127.0.0.1:${port}`
}

/** Runs a check; if EXPECTED_FAILURES lists it, the check must fail. */
async function check(client: Client, feature: string, body: () => Promise<void>): Promise<void> {
  const reason = EXPECTED_FAILURES[`${client.name}: ${feature}`]
  if (reason === undefined) return body()
  const failed = await body().then(
    () => false,
    () => true,
  )
  if (!failed) throw new Error(`It works now: remove it from the expected failures (${reason}).`)
}

function run(client: Client, words: readonly string[], env: Readonly<Record<string, string>>): ClientProcess {
  const running = new ClientProcess(client, words, env)
  disposals.push(() => running.kill())
  return running
}

describe.each(OPENAI)('$name', (client) => {
  beforeAll(() => void prepare(client.language))

  function ask(feature: string, prompt: string, at: { readonly port: number } = server): ClientProcess {
    return run(client, [feature], { BASE_URL: `${origin(at)}/v1`, MODEL: 'compatible:up', PROMPT: prompt })
  }

  it.each(FEATURES)('$feature', ({ feature, prompt, prints }) =>
    check(client, feature, async () => {
      const asking = ask(feature, prompt)
      await asking.exit()
      expect(asking.lines.at(-1), asking.report).toMatch(prints)
    }),
  )

  it('reports a connection that breaks during an answer as a failure', () =>
    check(client, 'cut', async () => {
      const proxy = await openProxy()
      const asking = ask('stream', 'slow', proxy)
      await asking.until(() => asking.pieces >= BEGUN)
      expect(asking.lines, asking.report).toEqual([])
      proxy.change({ kind: 'cut' })
      await asking.exit()
      expect(asking.lines.at(-1), asking.report).toMatch(FAILED)
    }))

  it('reports an answer that the model provider breaks off as a failure', () =>
    check(client, 'provider', async () => {
      const asking = ask('stream', 'break off')
      await asking.exit()
      expect(asking.lines.at(-1), asking.report).toMatch(FAILED)
    }))

  it('reports an answer that a stopping server could not finish as a failure, and continues on the next', () =>
    check(client, 'drain', async () => {
      const own = await startDisposableServer()
      const asking = ask('drain', 'slow', own)
      await asking.until(() => asking.pieces >= BEGUN)
      expect(asking.lines, asking.report).toEqual([])
      await own.stop()
      await asking.until(() => asking.lines.length > 0)
      expect(asking.lines[0]).toMatch(FAILED)
      await own.start()
      asking.proceed()
      await asking.exit()
      expect(asking.lines[1]?.trim(), asking.report).toBe(numbers(SLOW_PIECES))
    }))
})

describe.each(SSE)('$name', (client) => {
  beforeAll(() => void prepare(client.language))

  /** Starts a run of the demo model, and the client as its reader. */
  async function read(at: { readonly port: number }, through = at): Promise<ClientProcess> {
    const session = makeId('s')
    const response = await fetch(`${origin(at)}/v1/sessions/${session}/messages`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Prefer: 'respond-async' },
      body: JSON.stringify({ content: `/demo count=${COUNT} rate=${RATE} ttft=0` }),
    })
    expect(response.status).toBe(202)
    const { run: id } = (await response.json()) as { run: string }
    return run(client, [], { URL: `${origin(through)}/v1/sessions/${session}/events?run=${id}` })
  }

  function hasEnded({ lines }: ClientProcess): boolean {
    return lines.some((line) => /^run\.ended |^end$|^failed: /.test(line))
  }

  /** Each number of the answer once and in order, or, of clients that do not reconnect, a failure. */
  function expectResumed(reading: ClientProcess): void {
    // The whole output at the end of the run would hide a piece that arrived twice.
    const places = entriesOf(reading).flatMap(({ event }) => (event.type === 'run.output' ? [event.index] : []))
    expect(places, reading.report).toEqual([...new Set(places)].sort((a = 0, b = 0) => a - b))
    if (client.resumes) expect(textOf(reading), reading.report).toBe(numbers(COUNT))
    else expect(reading.lines.at(-1)).toMatch(FAILED)
  }

  it('receives every event at once, and none without data', () =>
    check(client, 'stream', async () => {
      const reading = await read(server)
      await reading.until(() => hasEnded(reading))
      const late = Date.now() - (entriesOf(reading).at(-1)?.time ?? 0)
      expect(textOf(reading), reading.report).toBe(numbers(COUNT))
      expect(late, 'milliseconds after the end of the run').toBeLessThan(LATE_MS)
      expect(reading.lines.filter((line) => !isEvent(line) && line !== 'end')).toEqual([])
    }))

  it(client.resumes ? 'resumes after a cut' : 'reports a cut', () =>
    check(client, 'cut', async () => {
      const proxy = await openProxy()
      const reading = await read(server, proxy)
      await reading.until(() => reading.lines.length > COUNT / 5)
      proxy.change({ kind: 'cut' })
      proxy.heal()
      await reading.until(() => hasEnded(reading))
      expectResumed(reading)
    }),
  )

  it(client.resumes ? 'resumes when the server has stopped and started again' : 'reports a stopping server', () =>
    check(client, 'drain', async () => {
      const own = await startDisposableServer()
      const reading = await read(own)
      await reading.until(() => reading.lines.length > COUNT / 5)
      await own.stop()
      await own.start()
      await reading.until(() => hasEnded(reading))
      expectResumed(reading)
    }),
  )
})

interface Entry {
  readonly time: number
  readonly event: {
    readonly type: string
    readonly index?: number
    readonly text?: string
    readonly output?: readonly { text?: string }[]
  }
}

function isEvent(line: string): boolean {
  return /^\S+ \{/.test(line)
}

function entriesOf({ lines }: ClientProcess): readonly Entry[] {
  const messages = lines.filter(isEvent).map((line) => JSON.parse(line.slice(line.indexOf('{'))) as Entry)
  return messages.filter(({ event }) => event !== undefined)
}

/** The text of the pieces, or of the end of the run: a reader that returns after the end gets the whole output there. */
function textOf(reading: ClientProcess): string {
  const events = entriesOf(reading).map(({ event }) => event)
  const outputs = events.findLast(({ output }) => output !== undefined)?.output
  const pieces = outputs ?? events.filter(({ type }) => type === 'run.output')
  return pieces
    .map(({ text = '' }) => text)
    .join('')
    .trim()
}

/** @returns the first whole numbers, as the models write them */
function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => String(index)).join(' ')
}
