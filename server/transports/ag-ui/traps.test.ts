// What the official clients of AG-UI do not forgive, in both versions that are in use. Each test names what a server must not do, and
// what the client did with it, measured with these versions.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { HttpAgent as CurrentAgent } from '@ag-ui/client'
import { HttpAgent as EarlierAgent } from 'ag-ui-client-059'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig } from '../../config/config.ts'
import { createServer, type Server } from '../../create-server.ts'
import { demoText } from '../../model/demo-answer.ts'

const folders: string[] = []
async function open(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-agui-traps-'))
  folders.push(folder)
  const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1' }, folder)
  return createServer(config, pino({ level: 'silent' }))
}

let server: Server
beforeAll(async () => {
  server = await open()
})
afterAll(async () => {
  await server.close()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

interface Event {
  readonly type: string
  readonly [field: string]: unknown
}

let count = 0
const REPORT = 'tool=demo_report input={"steps":3,"ms":1}'

describe.each([
  ['0.0.59', EarlierAgent],
  ['1.0.0', CurrentAgent],
])('a client of AG-UI %s', (version, Agent) => {
  const agentFor = (content: string, at = server): CurrentAgent => {
    count += 1
    const initialMessages = [{ id: `u${count}`, role: 'user', content }]
    return new Agent({ url: `${at.url}/v1/ag-ui`, threadId: `trap_${count}`, initialMessages } as never) as never
  }
  const watched = (seen: Event[]) => ({ onEvent: ({ event }: { event: unknown }) => void seen.push(event as Event) })
  const types = (seen: readonly Event[]): readonly string[] => seen.map(({ type }) => type)

  it('is not cut by a node that shuts down: a cut leaves an unhandled rejection, which ends a process', async () => {
    const rejections: unknown[] = []
    const note = (error: unknown): void => void rejections.push(error)
    process.on('unhandledRejection', note)
    onTestFinished(() => void process.off('unhandledRejection', note))
    const own = await open()
    const agent = agentFor('/demo count=4000 rate=50 ttft=0', own)
    const seen: Event[] = []
    const running = agent.runAgent({}, watched(seen))
    await vi.waitFor(() => expect(types(seen)).toContain('TEXT_MESSAGE_CONTENT'), 20_000)
    await Promise.all([running, own.close()])
    expect(seen.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'going_away' })
    expect(rejections).toEqual([])
  })

  it('learns of a failure by RUN_ERROR alone: it resolves, as after a stream without an end', async () => {
    const seen: Event[] = []
    await agentFor('/demo count=3 rate=0 fail=1').runAgent({}, watched(seen))
    expect(seen.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'provider_error', message: expect.any(String) })
    expect(types(seen)).not.toContain('RUN_FINISHED')
  })

  it('gets no event that 0.0.59 does not know, and no outcome that it rejects', async () => {
    const seen: Event[] = []
    const agent = agentFor(`/demo count=1000 rate=50 reasoning=1 sources=1 files=1 ${REPORT}`)
    const running = agent.runAgent({}, watched(seen))
    await vi.waitFor(() => expect(types(seen)).toContain('TEXT_MESSAGE_CONTENT'), 20_000)
    await fetch(`${server.url}/v1/sessions/${agent.threadId}/cancel`, { method: 'POST' })
    await running
    expect(seen.at(-1)?.type).toBe('RUN_FINISHED')
    expect('outcome' in (seen.at(-1) ?? {})).toBe(version === '1.0.0')
    // Everything that was begun has an end before.
    for (const kind of ['TEXT_MESSAGE', 'TOOL_CALL', 'REASONING_MESSAGE', 'STEP']) {
      const begun = types(seen).filter((type) => type === `${kind}_START` || type === `${kind}_STARTED`)
      const ended = types(seen).filter((type) => type === `${kind}_END` || type === `${kind}_FINISHED`)
      expect(ended, kind).toHaveLength(begun.length)
    }
  })

  it('gets results as text, and the text after a call as another message: a call without a message becomes one', async () => {
    const asked = `/demo count=4 rate=0 ${REPORT}`
    const agent = agentFor(asked)
    const seen: Event[] = []
    await agent.runAgent({}, watched(seen))
    const result = seen.find(({ type }) => type === 'TOOL_CALL_RESULT')
    expect(typeof result?.content).toBe('string')
    const start = seen.find(({ type }) => type === 'TOOL_CALL_START')
    const caller = agent.messages.find((message) => message.role === 'assistant' && message.toolCalls !== undefined)
    expect(caller?.id).toBe(start?.parentMessageId ?? start?.toolCallId)
    expect(new Set(agent.messages.map(({ id }) => id)).size).toBe(agent.messages.length)
    const texts = agent.messages.flatMap(({ role, content }) => (role === 'assistant' ? [content ?? ''] : []))
    expect(texts.join('')).toBe(demoText(asked, [{ output: { steps: 3 } }]))
  })

  it('gets the whole state first: it drops a delta that does not apply in silence', async () => {
    const agent = agentFor(`/demo count=1 rate=0 ${REPORT}`)
    const runId = `run_${version.replaceAll('.', '_')}`
    await agent.runAgent({ runId })
    const { rows } = (agent.state as { report: { rows: unknown[] } }).report
    const again = agentFor('')
    again.threadId = agent.threadId
    const seen: Event[] = []
    await again.runAgent({ runId }, watched(seen))
    const states = types(seen).filter((type) => type.startsWith('STATE_'))
    expect(states[0]).toBe('STATE_SNAPSHOT')
    expect((again.state as { report: { rows: unknown[] } }).report.rows).toEqual(rows)
  })
})

it('any Accept gets server-sent events: the encoder of AG-UI answers curl’s with protobuf', async () => {
  for (const accept of ['*/*', 'text/event-stream', 'application/vnd.ag-ui.event+proto, */*', '']) {
    const headers = { 'Content-Type': 'application/json', ...(accept === '' ? {} : { Accept: accept }) }
    const messages = [{ id: 'u', role: 'user', content: '/demo count=1 rate=0' }]
    count += 1
    const body = JSON.stringify({ threadId: `accept_${count}`, runId: `run_${count}`, messages })
    const answer = await fetch(`${server.url}/v1/ag-ui`, { method: 'POST', headers, body })
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(await answer.text()).toMatch(/^data: \{"type":"RUN_STARTED"/m)
  }
})
