// Agents of LangGraph and Pydantic AI, behind the AG-UI servers of these frameworks, as agents of a real server. Their models are
// scripted (python/agui_agents.py).
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type CallView, type ClientTool, openQuestion, ParleyClient, type Reply, type Session } from '@parley/client'
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { prepare } from './toolchains.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'parley-remote-'))
let python: string
let agents: ChildProcess
let agentsUrl: string
let server: ServerProcess
let client: ParleyClient
beforeAll(async () => {
  const clients = prepare('python')
  python = join(clients, 'venv/bin/python')
  agents = spawn(python, ['agui_agents.py'], { cwd: clients, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: agents.stdout as NonNullable<typeof agents.stdout> })
  const [port] = (await Promise.race([once(lines, 'line'), once(agents, 'exit').then(() => [undefined])])) as [string]
  if (port === undefined) throw new Error('the agents did not start')
  agentsUrl = `http://127.0.0.1:${port}`
  const config = join(folder, 'parley.config.json')
  const names = ['langgraph', 'langchain', 'pydantic-ai']
  writeFileSync(
    config,
    JSON.stringify({
      agents: {
        ...Object.fromEntries(names.map((name) => [name, { agui: `${agentsUrl}/${name}`, agents: ['helper'] }])),
        lead: { agents: names },
        helper: {},
      },
    }),
  )
  server = await ServerProcess.start({ PARLEY_CONFIG: config })
  client = new ParleyClient({ url: `http://127.0.0.1:${server.port}` })
})
afterAll(async () => {
  await client?.close()
  await server?.dispose()
  agents?.kill()
  rmSync(folder, { recursive: true, force: true })
})

interface Seen {
  readonly requests: readonly {
    readonly messages: readonly { readonly id: string; readonly role: string; readonly content?: string }[]
    readonly state: unknown
  }[]
  /** What LangGraph keeps of the thread: types and ids of messages. */
  readonly memory: readonly (readonly [type: string, id: string])[]
  /** The paths of requests that were closed before their answers ended. */
  readonly closed: readonly string[]
  readonly booked: readonly string[]
}

async function seen(session: Session, agent: string): Promise<Seen> {
  const response = await fetch(`${agentsUrl}/seen?thread=${session.id}.${agent}`)
  return (await response.json()) as Seen
}

const WARMTH: ClientTool = {
  name: 'warmth',
  description: 'How warm it is.',
  inputSchema: { type: 'object', properties: { city: { type: 'string' } } },
  execute: (input) => ({ input, degrees: 12 }),
}

const open = (): Session => client.session(makeId('s'))

/** Resolves with the value when there is one. */
function until<T>(session: Session, value: () => T | undefined): Promise<T> {
  return new Promise((resolve) => {
    const look = (): void => {
      const found = value()
      if (found === undefined) return
      stop()
      resolve(found)
    }
    const stop = session.subscribe(look)
    look()
  })
}

const callWith = (session: Session, status: CallView['status']): Promise<CallView> =>
  until(session, () => [...session.state.calls.values()].find((call) => call.status === status))

async function runOf(session: Session, reply: Reply) {
  const { run } = await reply.accepted
  await reply.result()
  return until(session, () => session.state.runs.get(run))
}

const resultsIn = (session: Session): unknown[] =>
  [...session.state.calls.values()].map(({ name, input, output }) => [name, input, output])

describe.each(['langgraph', 'pydantic-ai'])('an agent of %s', (agent) => {
  it('answers with text in pieces, and knows the conversation', async () => {
    const session = open()
    expect((await session.send('Hello', { agent }).result()).text).toBe('Turn 1: Hello')
    expect((await session.send('Again', { agent }).result()).text).toBe('Turn 2: Again')
  })

  it('thinks', async () => {
    const session = open()
    const { parts } = await runOf(session, session.send('think', { agent }))
    expect(parts.map((part) => ('text' in part && part.text !== '' ? [part.type, part.text] : []))).toEqual(
      expect.arrayContaining([
        ['reasoning', 'Hm, well.'],
        ['text', 'Done.'],
      ]),
    )
  })

  it('reports the calls that it makes itself, and their results, once', async () => {
    const session = open()
    const first = await session.send('search', { agent }).result()
    expect(first.text).toContain('It says: 3 results for hotels; 3 results for trains. 2 results so far.')
    const searches = [
      ['search', { query: 'hotels' }, '3 results for hotels'],
      ['search', { query: 'trains' }, '3 results for trains'],
    ]
    expect(resultsIn(session)).toEqual(searches)
    // The second time, the agent gets all of it back.
    expect((await session.send('search', { agent }).result()).text).toContain('4 results so far.')
    expect(resultsIn(session)).toEqual([...searches, ...searches])
    const { requests, memory } = await seen(session, agent)
    const roles = ['user', 'assistant', 'tool', 'tool', 'assistant', 'user']
    expect(requests.at(-1)?.messages.map(({ role }) => role)).toEqual(roles)
    if (agent === 'langgraph') expect(memory.map(([type]) => type).join()).toBe(MEMORY)
  })

  it('asks for a tool of a client, and continues with its result', async () => {
    const session = client.session(makeId('s'), { tools: [WARMTH] })
    const reply = session.send('offered warmth {"city":"Oslo"}', { agent })
    expect((await reply.result()).text).toMatch(
      /^It says: \{"input":\{"city":"Oslo"\},"degrees":12\}\. 1 results so far/,
    )
    expect((await seen(session, agent)).requests).toHaveLength(2)
  })

  it('asks another agent of the server', async () => {
    const session = open()
    const asked = 'offered ask_helper {"message":"/demo count=3 rate=0"}'
    expect((await session.send(asked, { agent }).result()).text).toBe('It says: 0 1 2. 1 results so far.')
    const calls = [...session.state.calls.values()]
    expect(calls).toMatchObject([{ name: 'ask_helper', where: 'server', output: '0 1 2' }])
  })

  it('shares its state, which later requests have', async () => {
    const session = open()
    const first = await runOf(session, session.send('plan', { agent }))
    const stateOf = ({ parts }: typeof first) => parts.find((part) => part.type === 'data' && part.name === 'state')
    expect(stateOf(first)).toMatchObject({ data: { plan: ['step 1'] } })
    const second = await runOf(session, session.send('plan', { agent }))
    expect(stateOf(second)).toMatchObject({ data: { plan: ['step 1', 'step 2'] } })
    expect((await seen(session, agent)).requests[1]?.state).toMatchObject({ plan: ['step 1'] })
  })

  it('loses its request when the run is cancelled', async () => {
    const session = open()
    const reply = session.send('slow', { agent })
    const { run } = await reply.accepted
    await until(session, () => session.state.runs.get(run)?.parts.find((part) => part.type === 'text'))
    await session.cancel(run)
    await expect
      .poll(async () => (await seen(session, agent)).closed, { timeout: 30_000, interval: 200 })
      .toContain(`/${agent}`)
  })

  it('works for an agent that asks it', async () => {
    const session = open()
    const asked = await session.send(`/demo ask=${agent} message={search} count=1 rate=0`, { agent: 'lead' }).result()
    expect(asked.text).toContain('2 results so far.')
  })
})

/** Two times: the question, the calls, their results, the answer. */
const MEMORY = 'human,ai,tool,tool,ai,human,ai,tool,tool,ai'

describe.each(['langchain', 'pydantic-ai'])('a call of %s that needs an approval', (agent) => {
  it.each(['approve', 'deny'] as const)('waits for a person: %s', async (decision) => {
    const session = open()
    const before = (await seen(session, agent)).booked.length
    const reply = session.send('book', { agent })
    const call = await callWith(session, 'deciding')
    expect(call).toMatchObject({ name: 'book', input: { city: 'Oslo' } })
    expect((await seen(session, agent)).booked).toHaveLength(before)
    await session.decide(call.id, decision)
    const { text } = await reply.result()
    const { booked } = await seen(session, agent)
    expect(booked).toHaveLength(before + (decision === 'approve' ? 1 : 0))
    if (decision === 'approve') expect(text).toContain('It says: booked in Oslo. 1 results so far.')
    else expect(text).not.toContain('booked')
    // The conversation continues, with the result in it.
    expect((await session.send('search', { agent }).result()).text).toContain('3 results so far.')
  })
})

it('works in the example', async () => {
  const child = spawn(process.execPath, [join(EXAMPLES, 'dist/remote-agent.js')], {
    env: { PATH: process.env.PATH, PYTHON: python },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data) => {
    output += String(data)
  })
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  expect(output).toContain('Booked: room 12')
})

describe('a graph that interrupts itself', () => {
  it('asks a question', async () => {
    const session = open()
    const reply = session.send('ask', { agent: 'langgraph' })
    const [call, question] = await until(session, () => {
      for (const each of session.state.calls.values()) {
        const asked = openQuestion(each)
        if (asked !== undefined) return [each, asked] as const
      }
      return undefined
    })
    expect(question).toMatchObject({ message: 'Which city?' })
    await session.answer(call.id, question.id, 'accept', { answer: 'Oslo' })
    expect((await reply.result()).text).toBe('You said Oslo.')
  })

  it('asks for a decision', async () => {
    const session = open()
    const reply = session.send('confirm', { agent: 'langgraph' })
    const call = await callWith(session, 'deciding')
    await session.decide(call.id, 'approve')
    expect((await reply.result()).text).toBe('You said {"approved": true}.')
  })
})
