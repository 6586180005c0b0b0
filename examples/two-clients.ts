// Two clients share a session: both see the same answer, and either may cancel what the other asked for. A third client
// that joins later sees the same conversation.
import assert from 'node:assert/strict'
import { ParleyClient, type Session, type SessionView } from '@parley/client'
import { withServer } from './server.ts'

function until(session: Session, isReached: (view: SessionView) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!isReached(session.state)) return
      unsubscribe()
      resolve()
    }
    const unsubscribe = session.subscribe(check)
    check()
  })
}

await withServer(async (url) => {
  const id = `two-clients-${crypto.randomUUID()}`
  const clients = [1, 2, 3].map(() => new ParleyClient({ url }))
  const [laptop, phone] = clients.slice(0, 2).map((client) => client.session(id))
  assert.ok(laptop && phone)
  await Promise.all([laptop, phone].map((session) => until(session, (view) => view.status === 'live')))

  const reply = laptop.send('/demo count=1000 rate=100')
  await until(phone, (view) => (view.runs.get(view.activeRun ?? '')?.next ?? 0) > 10)
  await phone.cancel()

  const run = await reply.result()
  assert.equal(run.status, 'cancelled')
  assert.equal(phone.state.runs.get(run.id)?.text, run.text)

  const late = clients[2]?.session(id)
  assert.ok(late)
  await until(late, (view) => view.status === 'live' && view.open.length === 0)
  assert.equal(late.state.runs.get(run.id)?.text, run.text)
  console.log(`all three saw: ${run.text}`)
  for (const client of clients) await client.close()
})
