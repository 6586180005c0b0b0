// Tools of MCP servers in runs: whose credential a call carries, when two people use one session.
import { makeId, ReplyError } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ClaimVault } from '../auth/claim-vault.ts'
import type { Caller } from '../session/commands/caller.ts'
import { McpServers } from '../tool/mcp/mcp-servers.ts'
import { McpFixture } from '../tool/mcp/test/mcp-fixture.ts'
import { schemaPool } from '../tool/schema-pool.ts'
import { EngineHarness, type PlayedCall } from './test/engine-harness.ts'

const vault = new ClaimVault(['key'], undefined)
let fixture: McpFixture
let mcp: McpServers
let h: EngineHarness
beforeEach(async () => {
  fixture = await McpFixture.start('modern')
  const mail = { url: fixture.url, headers: { Authorization: 'Bearer {claim:key}' }, approval: ['echo'] }
  const logger = pino({ level: 'silent' })
  mcp = new McpServers({ servers: { mail }, version: '1', logger, open: (sealed, user) => vault.open(sealed, user) })
  h = await EngineHarness.start({ mcp })
})
afterEach(async () => {
  await h.dispose()
  await mcp.close()
  await fixture.dispose()
})

async function caller(user: string, key: string | undefined = `key of ${user}`): Promise<Caller> {
  const credentials = await vault.seal(user, key === undefined ? {} : { key })
  return { connection: user, user, role: 'owner', ...(credentials === undefined ? {} : { credentials }) }
}

async function send(by: Caller, policy: 'queue' | 'steer' = 'queue') {
  return h.service.send({ type: 'send', id: makeId('c'), session: 's', content: 'go', policy }, by)
}

/** The model of the run calls the tool. @returns the call's result, and the next model call */
async function callsTool(model: PlayedCall, name: string, input: unknown = {}) {
  model.tool(name, input)
  model.finish('tool-calls')
  const { call } = await h.event('s', 'tool.called', (event) => event.name === name && !seen.has(event.call))
  seen.add(call)
  return { call, result: h.event('s', 'tool.result', (event) => event.call === call) }
}
const seen = new Set<string>()

it('carries the credential of the message’s sender, which no log entry contains', async () => {
  for (const user of ['ada', 'bob', 'ada']) {
    const { run } = await send(await caller(user))
    const model = await h.model.next()
    expect(model.options.tools?.map(({ name }) => name)).toContain('mail_whoami')
    const { result } = await callsTool(model, 'mail_whoami')
    expect(await result).toMatchObject({ output: `Bearer key of ${user}` })
    const last = await h.model.next()
    last.finish()
    await h.event('s', 'run.ended', (event) => event.run === run)
  }
  expect(fixture.callers).toEqual(['Bearer key of ada', 'Bearer key of bob', 'Bearer key of ada'])
  expect(mcp.connections).toBe(2)
  const entries = JSON.stringify(await h.entries('s'))
  expect(entries.split('Bearer key of').length - 1).toBe(3)
  expect(entries).not.toContain('credentials')
})

it('fails with a reason for a sender without the claim, and after a message of somebody else', async () => {
  await send({ connection: 'eve', user: 'eve', role: 'owner' })
  const model = await h.model.next()
  expect(model.options.tools ?? []).toEqual([])
  const without = await callsTool(model, 'mail_whoami')
  expect(await without.result).toMatchObject({
    error: expect.stringMatching(/needs the claim key of the sender's access token/),
  })
  const last = await h.model.next()
  last.finish()

  const { run } = await send(await caller('ada'))
  const first = await h.model.next()
  await send(await caller('bob'), 'steer')
  const { result } = await callsTool(first, 'mail_whoami')
  expect(await result).toMatchObject({
    error: expect.stringMatching(/Another person has added a message to this answer/),
  })
  const end = await h.model.next()
  // Not even listed with the sender's credential, for a model that now works for two people.
  expect(end.options.tools ?? []).toEqual([])
  end.finish()
  await h.event('s', 'run.ended', (event) => event.run === run)
  expect(fixture.callers).toEqual([])
})

// The run failed and was retried, so the model was paid twice.
it('tells the model that an input cannot be checked at the moment', async () => {
  vi.spyOn(schemaPool, 'checkValue').mockRejectedValueOnce(new ReplyError('rate_limited', 'Too much.'))
  await send(await caller('ada'))
  const { result } = await callsTool(await h.model.next(), 'mail_whoami')
  expect(await result).toMatchObject({ error: 'The input could not be checked: Too much.' })
  const last = await h.model.next()
  last.finish()
  await h.event('s', 'run.ended')
  expect(h.model.calls).toHaveLength(2)
})

it('continues on another node: the credential waits with the run', async () => {
  await send(await caller('ada'))
  const { call } = await callsTool(await h.model.next(), 'mail_echo', { text: 'hi' })
  await h.close()
  await h.open()
  await h.service.decide(
    { type: 'tool.decide', id: makeId('d'), session: 's', call, decision: 'approve' },
    await caller('bob'),
  )
  expect(await h.event('s', 'tool.result')).toMatchObject({ output: 'hi' })
  expect(fixture.callers).toEqual(['Bearer key of ada'])
  const last = await h.model.next()
  last.finish()
  await h.event('s', 'run.ended')
})

// The repeated command offered its run again without them, and every call failed.
it('offers the credential with the run of a repeated message', async () => {
  const ada = await caller('ada')
  const offers: (string | undefined)[] = []
  const { runs } = h.stores
  const offer = runs.offer.bind(runs)
  runs.offer = async (queued) => {
    offers.push(queued.credentials)
    // The first offer is lost, as when the node dies.
    if (offers.length > 1) await offer(queued)
  }
  const command = { type: 'send', id: 'twice', session: 's', content: 'go' } as const
  await h.service.send(command, ada)
  await h.service.send(command, ada)
  expect(offers).toEqual([ada.credentials, ada.credentials])
  const { result } = await callsTool(await h.model.next(), 'mail_whoami')
  expect(await result).toMatchObject({ output: 'Bearer key of ada' })
  const last = await h.model.next()
  last.finish()
  await h.event('s', 'run.ended')
})

it('says why the credential cannot be read', async () => {
  const other = await new ClaimVault(['key'], 'another secret of the other node').seal('ada', { key: 'k' })
  await send({ connection: 'a', user: 'ada', role: 'owner', ...(other === undefined ? {} : { credentials: other }) })
  const { result } = await callsTool(await h.model.next(), 'mail_whoami')
  expect(await result).toMatchObject({
    error: expect.stringMatching(/cannot be decrypted here.*PARLEY_CREDENTIALS_KEY/),
  })
  const last = await h.model.next()
  last.finish()
  await h.event('s', 'run.ended')
})
