// Tools that several users declare under one name. An editor's declaration once replaced the owner's, without its approval or with a
// wider schema, so that the next call ran on the owner's device at once.
import { type Event, makeId, type Tool } from '@parley/protocol'
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import type { Caller } from '../session/commands/caller.ts'
import { schemaPool } from '../tool/schema-pool.ts'
import { EngineHarness } from './test/engine-harness.ts'

const OWNER: Caller = { connection: 'phone', user: 'ada', role: 'owner' }
const EDITOR: Caller = { connection: 'laptop', user: 'eve', role: 'owner' }
const MAIL: Tool = {
  name: 'mail',
  inputSchema: { type: 'object', properties: { to: { const: 'ada' } }, required: ['to'] },
  outputSchema: { type: 'string' },
  approval: true,
}
const WIDE: Tool = { name: 'mail' }

let h: EngineHarness
beforeEach(async () => {
  h = await EngineHarness.start({ members: true })
  await h.service.attach('s', OWNER, [])
  const { token } = await h.service.invite('s', OWNER, 'editor', 60_000)
  await h.service.join('s', EDITOR, token)
})
afterEach(async () => {
  await h.dispose()
})

/** The model calls the tool. @returns its call, and what it was offered */
async function callMail(input: unknown, text = 'go') {
  await h.send('s', text)
  const model = await h.model.next()
  model.tool('mail', input)
  model.finish('tool-calls')
  return { called: await h.event('s', 'tool.called'), offered: model.options.tools?.[0], model }
}

const claim = (call: string, by: Caller) =>
  h.service.claim({ type: 'tool.claim', id: makeId('c'), session: 's', call }, by)
const result = (call: string, by: Caller, output: unknown) =>
  h.service.result({ type: 'tool.result', id: makeId('r'), session: 's', call, output }, by)
const approve = (call: string) =>
  h.service.decide({ type: 'tool.decide', id: makeId('d'), session: 's', call, decision: 'approve' }, OWNER)

it('keeps the approval, the schema and the output schema of the owner when an editor declares the same name', async () => {
  await h.service.attach('s', OWNER, [MAIL])
  await h.service.attach('s', EDITOR, [{ ...WIDE, outputSchema: { type: 'number' }, timeoutMs: 100 }])
  const { called, offered } = await callMail({ to: 'ada' })
  expect(called.approval).toBe(true)
  expect(offered).toMatchObject({ inputSchema: { required: ['to'] } })
  await expect(claim(called.call, OWNER)).rejects.toMatchObject({ code: 'approval_pending' })
  await approve(called.call)
  await claim(called.call, OWNER)
  // A declaration during the call changes nothing for the device that runs it.
  await h.service.attach('s', EDITOR, [{ ...WIDE, outputSchema: false as never }])
  await result(called.call, OWNER, 'sent')
  expect(await h.event('s', 'tool.result')).toMatchObject({ output: 'sent', by: 'phone' })
})

it('refuses input that the owner’s schema does not allow, although an editor’s does', async () => {
  await h.service.attach('s', OWNER, [MAIL])
  await h.service.attach('s', EDITOR, [WIDE])
  const { called } = await callMail({ to: 'everybody' })
  expect(called.approval).toBe(false)
  expect(await h.event('s', 'tool.result')).toMatchObject({
    error: expect.stringContaining('does not match'),
    by: 'server',
  })
})

it('lets the owner relax an editor’s declaration, but not for the editor’s device', async () => {
  await h.service.attach('s', EDITOR, [MAIL])
  await h.service.attach('s', OWNER, [WIDE])
  const { called, offered } = await callMail({ to: 'everybody' })
  expect(called.approval).toBe(false)
  expect(offered).toMatchObject({ inputSchema: { properties: {} } })
  await expect(claim(called.call, EDITOR)).rejects.toMatchObject({ code: 'invalid_tool_input' })
  await expect(result(called.call, EDITOR, 'sent')).rejects.toMatchObject({ code: 'invalid_tool_input' })
  await claim(called.call, OWNER)
})

it.each([
  ['a claim', claim],
  ['a result without a claim', (call: string, by: Caller) => result(call, by, 'sent')],
])('makes a call wait when %s comes from a device that requires an approval', async (_, take) => {
  await h.service.attach('s', EDITOR, [MAIL])
  await h.service.attach('s', OWNER, [WIDE])
  const { called } = await callMail({ to: 'ada' })
  await expect(take(called.call, EDITOR)).rejects.toMatchObject({ code: 'approval_pending' })
  const again = await h.event('s', 'tool.called', ({ attempt }) => attempt === 2)
  expect(again).toMatchObject({ call: called.call, approval: true })
  expect(again.until - Date.now()).toBeGreaterThan(60_000)
  await expect(claim(called.call, OWNER)).rejects.toMatchObject({ code: 'approval_pending' })
  await approve(called.call)
  await take(called.call, EDITOR)
})

it('requires an approval if one of several editors does, until that user may no longer run tools', async () => {
  await h.service.attach('s', EDITOR, [MAIL])
  const { token } = await h.service.invite('s', OWNER, 'editor', 60_000)
  const other = { connection: 'tablet', user: 'bob', role: 'owner' }
  await h.service.join('s', other, token)
  await h.service.attach('s', other, [WIDE])
  const { called, model } = await callMail({ to: 'ada' })
  expect(called.approval).toBe(true)
  await h.service.cancel({ type: 'cancel', id: 'x', session: 's' }, OWNER)
  await model.aborted
  await h.service.removeMember('s', OWNER, 'eve')
  await h.send('s', 'again')
  const next = await h.model.next()
  next.tool('mail', { to: 'everybody' })
  next.finish('tool-calls')
  expect(await h.event('s', 'tool.called', ({ call }) => call !== called.call)).toMatchObject({ approval: false })
})

it('gives nobody the declaration of another user’s connection of the same name', async () => {
  await h.service.attach('s', OWNER, [WIDE])
  const { called } = await callMail({})
  const impostor: Caller = { ...EDITOR, connection: OWNER.connection, roams: true }
  await expect(claim(called.call, impostor)).rejects.toMatchObject({ code: 'tool_not_declared' })
  await h.service.attach('s', EDITOR, [MAIL])
  // At another node, the log has the declaration.
  const elsewhere: Caller = { ...EDITOR, connection: 'elsewhere', roams: true }
  await expect(claim(called.call, elsewhere)).rejects.toMatchObject({ code: 'invalid_tool_input' })
})

it('lets nobody act as another user’s connection', async () => {
  await h.service.attach('s', OWNER, [WIDE])
  await h.service.attach('s', EDITOR, [WIDE])
  const { called } = await callMail({})
  await claim(called.call, OWNER)
  // Presence and `tool.claimed` tell everyone the connection's id, and a client over HTTP may give any.
  const impostor: Caller = { ...EDITOR, connection: OWNER.connection, roams: true }
  await expect(claim(called.call, impostor)).rejects.toMatchObject({ code: 'call_claimed' })
  await expect(result(called.call, impostor, 'forged')).rejects.toMatchObject({ code: 'call_not_claimed' })
  await h.service.attach('s', impostor, [MAIL])
  h.service.detach('s', impostor)
  await h.service.attach('s', impostor, [])
  // The owner still holds the claim, and its tools are still available.
  await result(called.call, OWNER, 'sent')
  const events = (await h.entries('s')).filter((event) => 'call' in event && event.call === called.call)
  expect(events.map(({ type }) => type)).toEqual(['tool.called', 'tool.claimed', 'tool.result'])
  expect(events.at(-1)).toMatchObject({ output: 'sent', by: 'phone' })
  h.service.detach('s', EDITOR)
  ;(await h.model.next()).finish()
  await h.event('s', 'run.ended')
  expect((await callMail({}, 'again')).offered).toMatchObject({ name: 'mail' })
})

it.each([
  ['a result', result],
  ['a claim', claim],
])('refuses %s if its sender was removed while the server checked the schemas', async (_, take) => {
  await h.service.attach('s', EDITOR, [WIDE])
  const { called } = await callMail({})
  const check = vi.spyOn(schemaPool, 'checkValue').mockImplementationOnce(async () => {
    await h.service.removeMember('s', OWNER, 'eve')
    return { ok: true }
  })
  onTestFinished(() => check.mockRestore())
  await expect(take(called.call, EDITOR, 'sent')).rejects.toMatchObject({ code: 'forbidden' })
  await expect(h.service.attach('s', EDITOR, [])).rejects.toMatchObject({ code: 'forbidden' })
  const types = (await h.entries('s')).map(({ type }) => type)
  expect(types).not.toContain('tool.claimed')
  expect(types).not.toContain('tool.result')
})

it('refuses a declaration if its sender was removed while the server checked the schemas', async () => {
  const check = vi.spyOn(schemaPool, 'checkSchema').mockImplementationOnce(async () => {
    await h.service.removeMember('s', OWNER, 'eve')
    return { ok: true }
  })
  onTestFinished(() => check.mockRestore())
  await expect(h.service.attach('s', EDITOR, [MAIL])).rejects.toMatchObject({ code: 'forbidden' })
  expect((await h.entries('s')).map(({ type }) => type)).not.toContain('session.updated')
})

it('bounds what the log keeps of one user', async () => {
  const large = (name: string): Tool => ({
    name,
    description: 'x'.repeat(8_000),
    inputSchema: { title: 'é'.repeat(110_000) },
  })
  let declared = 0
  const fill = async () => {
    for (; declared < 20; declared += 1) await h.service.attach('s', EDITOR, [large(`t${declared}`)])
  }
  await expect(fill()).rejects.toMatchObject({ code: 'too_large' })
  expect(declared).toBe(4)
  await h.service.attach('s', OWNER, [large('mine')])
})

it('bounds what the log keeps of all users, and drops the declarations of a user who leaves', async () => {
  const append = async (event: Event) => h.stores.log.append('s', 'meta', event, await h.stores.log.last('s', 'meta'))
  for (let n = 0; n < 8; n += 1) {
    const tool = { name: `tool_${n}`, description: 'x'.repeat(1_040_000), by: `user_${n}` }
    await append({ type: 'session.updated', tools: [tool] })
  }
  const large = { name: 'large', description: 'x'.repeat(80_000) }
  await expect(h.service.attach('s', EDITOR, [large])).rejects.toMatchObject({ code: 'too_large' })
  await h.service.attach('s', EDITOR, [MAIL])
  await append({ type: 'member.left', user: 'user_3', by: 'ada' })
  await h.service.attach('s', EDITOR, [large])
  await h.service.removeMember('s', OWNER, 'eve')
  const { state } = await h.watch('s')
  expect([...state.tools.keys()]).toEqual([0, 1, 2, 4, 5, 6, 7].map((n) => `tool_${n}`))
})

// Between the call and the end of its run, a device with a tool of that name could claim the call: 2 of 20 were.
it('offers the calls of tools that a message brings to no device', async () => {
  await h.service.attach('s', OWNER, [WIDE])
  const { run = '' } = await h.send('s', 'go', { context: { tools: [WIDE] } })
  await h.model.next()
  const about = { run, call: 'k', name: 'mail', input: {}, where: 'client' as const, approval: false }
  const called: Event = { type: 'tool.called', ...about, attempt: 1, until: Date.now() + 60_000, step: 0 }
  await h.stores.log.append('s', 'tool.k', called, 0)
  await h.event('s', 'tool.called')
  await expect(claim('k', OWNER)).rejects.toMatchObject({ code: 'tool_not_declared' })
  await expect(result('k', OWNER, 1)).rejects.toMatchObject({ code: 'tool_not_declared' })
})
