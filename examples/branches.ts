// Branches: edit a message that was answered long ago. Both versions remain, and the conversation can continue in
// either. The model gets the chosen one.
import assert from 'node:assert/strict'
import { ParleyClient, type Session } from '@parley/client'
import { withServer } from './server.ts'

const shown = (session: Session): string[] =>
  session.state.turns.map(({ message, versions }) => `${message.text} (${versions.length})`)

await withServer(async (url) => {
  const client = new ParleyClient({ url })
  const session = client.session(`branches-${crypto.randomUUID()}`)

  const first = session.send('/demo count=1 rate=0')
  await first.result()
  await session.send('/demo count=2 rate=0').result()
  assert.equal((await session.edit(first.command, '/demo count=3 rate=0').result()).text, '0 1 2')
  assert.deepEqual(shown(session), ['/demo count=3 rate=0 (2)'])

  // Ask the same question again: a third version.
  await session.regenerate(first.command).result()
  assert.deepEqual(shown(session), ['/demo count=1 rate=0 (3)'])

  // Show another version, and continue there.
  session.choose(first.command)
  await session.send('/demo count=4 rate=0').result()
  assert.deepEqual(shown(session), ['/demo count=1 rate=0 (3)', '/demo count=2 rate=0 (1)', '/demo count=4 rate=0 (1)'])
  console.log(shown(session).join('\n'))
  await client.close()
})
