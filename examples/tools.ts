// Tools: the model calls functions on this machine. One runs at once, the other after a person has approved it.
import assert from 'node:assert/strict'
import { ParleyClient, tool } from '@parley/client'
import { withServer } from './server.ts'

const temperature = tool<{ city: string }>({
  name: 'temperature',
  description: 'The temperature in a city, in degrees Celsius.',
  inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  execute: ({ city }) => ({ city, celsius: 21 }),
})

const order = tool<{ what: string }>({
  name: 'order',
  description: 'Orders something and pays for it.',
  inputSchema: { type: 'object', properties: { what: { type: 'string' } }, required: ['what'] },
  approval: true,
  execute: ({ what }, { signal }) => {
    // A slow tool should stop when its call is cancelled.
    signal.throwIfAborted()
    return { ordered: what }
  },
})

await withServer(async (url) => {
  const client = new ParleyClient({ url })
  const session = client.session(`tools-${crypto.randomUUID()}`, { tools: [temperature, order] })

  const weather = await session.send('/demo tool=temperature input={"city":"Bern"} count=1 rate=0').result()
  assert.match(weather.text, /"celsius":21/)

  const decided = new Set<string>()
  // The person's part: decide each call that needs approval.
  session.subscribe(() => {
    for (const call of session.state.calls.values()) {
      if (call.status !== 'deciding' || decided.has(call.id)) continue
      decided.add(call.id)
      const decision = JSON.stringify(call.input).includes('tea') ? 'approve' : 'deny'
      session.decide(call.id, decision).catch((error: unknown) => assert.fail(String(error)))
    }
  })
  const tea = await session.send('/demo tool=order input={"what":"tea"} count=1 rate=0').result()
  assert.match(tea.text, /"ordered":"tea"/)
  const yacht = await session.send('/demo tool=order input={"what":"a yacht"} count=1 rate=0').result()
  assert.doesNotMatch(yacht.text, /"ordered"/)

  for (const call of session.state.calls.values()) console.log(call.name, call.input, call.status)
  await client.close()
})
