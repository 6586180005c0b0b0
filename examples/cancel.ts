// Cancel: stop an answer in the middle. After `cancel` has resolved, no reader gets more of it.
import assert from 'node:assert/strict'
import { ParleyClient } from '@parley/client'
import { withServer } from './server.ts'

await withServer(async (url) => {
  const client = new ParleyClient({ url })
  const session = client.session(`cancel-${crypto.randomUUID()}`)

  const reply = session.send('/demo count=1000 rate=100')
  let answer = ''
  let cancelled: Promise<void> | undefined
  for await (const text of reply.text()) {
    answer += text
    // Cancel once: text that arrived before the cancel took effect is still delivered.
    if (answer.length > 20) cancelled ??= session.cancel()
  }
  await cancelled

  const run = await reply.result()
  assert.equal(run.status, 'cancelled')
  assert.equal(run.text, answer)
  console.log(`stopped after: ${answer}`)
  await client.close()
})
