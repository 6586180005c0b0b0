// Resume: the connection breaks twice during an answer. The answer continues, with nothing missing or repeated.
import assert from 'node:assert/strict'
import { ParleyClient } from '@parley/client'
import { flakyNetwork } from './flaky-network.ts'
import { withServer } from './server.ts'

await withServer(async (url) => {
  const network = await flakyNetwork(url)
  const client = new ParleyClient({ url: network.url })
  const session = client.session(`resume-${crypto.randomUUID()}`)
  client.subscribe(() => console.log(`connection: ${client.state.status}`))

  let answer = ''
  let cuts = 0
  for await (const text of session.send('/demo count=100 rate=50').text()) {
    answer += text
    if (answer.length > (cuts + 1) * 60 && cuts < 2) {
      cuts += 1
      network.cut()
    }
  }

  assert.equal(answer, Array.from({ length: 100 }, (_, i) => String(i)).join(' '))
  console.log(`the complete answer, after two cuts: ${answer.slice(0, 12)}… ${answer.slice(-8)}`)
  assert.equal(client.state.resumes, 2)
  assert.equal(session.state.faults, 0)
  await client.close()
  network.close()
})
