// Responses that wait for a person: runs of other transports, and conversations that a remote agent continues.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentServer } from '../../model/agui/test/agent-server.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const folder = mkdtempSync(join(tmpdir(), 'parley-waiting-'))
let agent: AgentServer
let h: OpenAiHarness
beforeAll(async () => {
  agent = await AgentServer.start()
  const config = join(folder, 'parley.config.json')
  writeFileSync(config, JSON.stringify({ agents: { lead: { handoff: ['planner'] }, planner: { agui: agent.url } } }))
  h = await OpenAiHarness.open({ PARLEY_CONFIG: config })
})
afterAll(async () => {
  await h.close()
  await agent.stop()
  rmSync(folder, { recursive: true, force: true })
})

type Waiting = OpenAI.Responses.Response & {
  readonly parley?: { readonly session: string; readonly waiting: readonly { call: string; question?: string }[] }
}

/** Resolves with the response once it waits. */
async function waiting(id: string): Promise<Waiting> {
  for (;;) {
    const response: Waiting = await h.client.responses.retrieve(id)
    if (response.parley !== undefined) return response
  }
}

describe('a response that waits for a person', () => {
  it('says which question is open, and continues after the answer', async () => {
    const content = '/demo tool=demo_form input={} count=2 rate=0'
    const sent = await h.post('/v1/sessions/form/messages', { content }, { Prefer: 'respond-async' })
    const id = `resp_${((await sent.json()) as { id: string }).id}`
    const { status, parley } = await waiting(id)
    expect([status, parley]).toMatchObject([
      'in_progress',
      {
        session: 'form',
        waiting: [{ message: 'Which pizza would you like?', expiresAt: expect.stringMatching(/Z$/) }],
      },
    ])
    const { call = '', question } = parley?.waiting[0] ?? {}
    const answer = { question, action: 'accept', content: { size: 's', count: 1 } }
    expect((await h.post(`/v1/sessions/form/tools/${call}/answer`, answer)).status).toBe(200)
    await expect.poll(async () => (await h.client.responses.retrieve(id)).status).toBe('completed')
    expect(await h.client.responses.retrieve(id)).not.toHaveProperty('parley')
  })

  it('may be one of a conversation with a remote agent, which needs an approval', async () => {
    const content = '/demo handoff=planner count=1 rate=0'
    const handed = h.post('/v1/sessions/trip/messages', { content, agent: 'lead' })
    ;(await agent.next()).begin().text('Where?').finish()
    await handed
    const { id } = await h.client.responses.create({
      ...{ model: 'demo', input: 'Oslo.', conversation: 'trip', background: true },
    })
    const interrupts = [{ id: 'i1', reason: 'tool_call', message: 'Sure?', toolCallId: 'tc_1' }]
    ;(await agent.next())
      .begin()
      .call('tc_1', 'book', {})
      .finish({ outcome: { type: 'interrupt', interrupts } })
    const { status, parley } = await waiting(id)
    expect([status, parley?.waiting]).toMatchObject(['in_progress', [{ message: 'May book run?' }]])
    const { call = '' } = parley?.waiting[0] ?? {}
    expect((await h.post(`/v1/sessions/trip/tools/${call}/decision`, { decision: 'approve' })).status).toBe(200)
    ;(await agent.next()).begin().result('tc_1', 'booked').text('Done.').finish()
    await expect.poll(async () => (await h.client.responses.retrieve(id)).status).toBe('completed')
  })

  it('was created over another transport otherwise: here, a request offers no tool of the server', async () => {
    const input = '/demo tool=demo_form input={} count=2 rate=0'
    const { status, output } = await h.client.responses.create({ model: 'demo', input })
    expect([status, output.map(({ type }) => type)]).toEqual(['completed', ['function_call']])
  })
})
