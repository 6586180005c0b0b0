// Quick start: send a message and print the answer as it streams.
import assert from 'node:assert/strict'
import { ParleyClient } from '@parley/client'
import { withServer } from './server.ts'

await withServer(async (url) => {
  const client = new ParleyClient({ url })
  const session = client.session(`quick-start-${crypto.randomUUID()}`)

  let answer = ''
  for await (const text of session.send('/demo count=10 rate=50').text()) {
    process.stdout.write(text)
    answer += text
  }
  process.stdout.write('\n')

  assert.equal(answer, '0 1 2 3 4 5 6 7 8 9')
  // The session's state contains the whole conversation.
  assert.equal(session.state.messages.length, 1)
  await client.close()
})
