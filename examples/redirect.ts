// Redirect: send a new message in the middle of an answer. That answer stops and the model answers the new message. The
// model knows how much of its unfinished answer you had seen.
import assert from 'node:assert/strict'
import { ParleyClient, type Reply } from '@parley/client'
import { withServer } from './server.ts'

await withServer(async (url) => {
  const client = new ParleyClient({ url })
  const session = client.session(`redirect-${crypto.randomUUID()}`)

  const first = session.send('/demo count=1000 rate=100')
  let second: Reply | undefined
  let seen = ''
  for await (const text of first.text()) {
    seen += text
    if (seen.length > 20) second ??= session.redirect('/demo count=5 rate=50')
  }
  assert.ok(second)
  let answer = ''
  for await (const text of second.text()) answer += text

  assert.equal((await first.result()).status, 'superseded')
  assert.equal(answer, '0 1 2 3 4')
  console.log(`after "${seen}" came "${answer}"`)
  await client.close()
})
