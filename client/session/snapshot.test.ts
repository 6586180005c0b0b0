// Tests what React and other code take from the SDK's objects: stores with snapshots, and methods without their object.
import { expect, it } from 'vitest'
import { ParleyClient } from '../index.ts'
import { message, ScriptedServer, says, started } from '../test/scripted-server.ts'
import { until } from '../test/until.ts'

it('the methods of clients, sessions, presence and replies work without their object, and snapshots are stable', async () => {
  const server = await ScriptedServer.start()
  const client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 } })
  try {
    const { session: open, getSnapshot: connection } = client
    const session = open('s')
    const { subscribe, getSnapshot, send, cancel, watch, close } = session
    let changes = 0
    const unsubscribe = subscribe(() => {
      changes += 1
    })
    const peer = await server.accept()
    await peer.welcome()
    await peer.attach([message('m1', 'r1'), started('r1', 'm1')])
    await until(session, ({ status }) => status === 'live')
    expect(connection()).toBe(client.state)
    expect(session.presence.getSnapshot()).toBe(session.presence.state)
    expect(changes).toBeGreaterThan(0)
    const before = getSnapshot()
    expect(getSnapshot()).toBe(before)
    expect(before).toBe(session.state)
    peer.send({ type: 'entry', session: 's', cursor: 'e.3', time: 1, event: says('r1', 0, 'Hi') })
    await until(session, ({ turns }) => turns[0]?.run?.text === 'Hi')
    expect(getSnapshot()).not.toBe(before)
    expect(before.turns[0]?.run?.text).toBe('')
    const unwatch = watch({ entry: () => undefined, reset: () => undefined, ended: () => undefined })
    const { text } = send('more')
    const { id } = await peer.expect('send')
    const next = text().next()
    const cancelled = cancel()
    const { id: cancelId } = await peer.expect('cancel')
    peer.send({ type: 'ok', id, message: id, run: 'r2' }, { type: 'ok', id: cancelId })
    await cancelled
    unwatch()
    unsubscribe()
    await close()
    await expect(next).rejects.toMatchObject({ code: 'closed' })
    expect(Object.keys(session)).not.toContain('send')
  } finally {
    const { close } = client
    await close()
    await server.close()
  }
})
