// Tests the shown conversation of a tree of messages as a pure function of messages and choice, and the messages that a
// session sends from it, over a real socket.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ParleyClient, type Session } from '../index.ts'
import { cursor, ended, entry, message, type Peer, ScriptedServer } from '../test/scripted-server.ts'
import { until } from '../test/until.ts'
import { applyEntry } from './apply-entry.ts'
import { withTurns } from './branch.ts'
import { newSession, type SessionView } from './session-view.ts'

const ids = (view: SessionView): string[] => view.turns.map((turn) => turn.message.id)
const versions = (view: SessionView): string[] => view.turns.map((turn) => turn.versions.join('|'))

function asked(id: string, parent?: string | null): Event {
  return { ...message(id, `run_${id}`), ...(parent === undefined ? {} : { parent }) } as Event
}

function viewOf(events: readonly Event[], begin = newSession('s')): SessionView {
  return events.reduce((view, event, at) => applyEntry(view, { cursor: cursor(at + 1), time: at, event }), begin)
}

describe('the conversation that is shown', () => {
  it('is the path to the newest message, with the versions at each position', () => {
    const place = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, fc.constant(null), fc.nat(30)), {
      minLength: 1,
      maxLength: 20,
    })
    fc.assert(
      fc.property(place, (positions) => {
        const events = positions.map((place, at) =>
          asked(`m${at}`, place === undefined ? undefined : place === null || at === 0 ? null : `m${place % at}`),
        )
        const parents = positions.map((place, at) =>
          at === 0 || place === null ? '' : place === undefined ? `m${at - 1}` : `m${place % at}`,
        )
        let view = newSession('s')
        for (const [at, event] of events.entries()) {
          view = applyEntry(view, { cursor: cursor(at + 1), time: at, event })
          const path: string[] = []
          for (let id = `m${at}`; id !== ''; id = parents[Number(id.slice(1))] ?? '') path.unshift(id)
          expect(ids(view)).toEqual(path)
          const siblings = path.map((id) =>
            parents
              .slice(0, at + 1)
              .flatMap((parent, of) => (parent === parents[Number(id.slice(1))] ? [`m${of}`] : [])),
          )
          expect(view.turns.map((turn) => turn.versions)).toEqual(siblings)
        }
      }),
    )
  })

  it('is the same after a long replay, which does not recompute it for each message', () => {
    const place = fc.array(fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.constant(null), fc.nat(200)), {
      minLength: 100,
      maxLength: 200,
    })
    fc.assert(
      fc.property(place, (positions) => {
        const events = positions.map((place, at) =>
          asked(`m${at}`, place === undefined ? undefined : place === null || at === 0 ? null : `m${place % at}`),
        )
        const replayed = withTurns(viewOf(events, { ...newSession('s'), status: 'replaying' }))
        expect(replayed.turns).toEqual(viewOf(events).turns)
      }),
      { numRuns: 20 },
    )
  })

  it('keeps unchanged turns as the same objects', () => {
    const before = viewOf([asked('a'), asked('b'), asked('c')])
    const after = applyEntry(before, { cursor: cursor(4), time: 4, event: asked('c2', 'b') })
    expect(after.turns[0]).toBe(before.turns[0])
    expect(after.turns[1]).toBe(before.turns[1])
    expect(versions(after)).toEqual(['a', 'b', 'c|c2'])
    const ran = applyEntry(after, { cursor: cursor(5), time: 5, event: ended('run_a', 0) })
    expect(ran.turns[0]).toMatchObject({ message: { id: 'a' }, run: { id: 'run_a', status: 'completed' } })
    expect(ran.turns.slice(1)).toEqual(after.turns.slice(1))
    expect(ran.turns[1]).toBe(after.turns[1])
  })

  it('starts where the view starts, and does not know the earlier messages', () => {
    const part = viewOf([asked('a'), asked('b')], newSession('s', cursor(0)))
    expect(part.messages.map(({ parent }) => parent)).toEqual([undefined, 'a'])
    expect(viewOf([asked('a'), asked('b')]).messages.map(({ parent }) => parent)).toEqual([null, 'a'])
    expect(ids(applyEntry(part, { cursor: cursor(3), time: 3, event: asked('c', 'gone') }))).toEqual(['c'])
  })
})

describe('a session of versions', () => {
  let server: ScriptedServer
  let client: ParleyClient
  let session: Session
  let peer: Peer

  beforeEach(async () => {
    server = await ScriptedServer.start()
    client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 } })
    session = client.session('s')
    peer = await server.accept()
    await peer.welcome()
    // b was edited, and c follows the new version. The run of b has ended.
    await peer.attach([asked('a'), asked('b'), asked('b2', 'a'), asked('c'), ended('run_b', 0)])
    await until(session, (view) => view.status === 'live')
  })
  afterEach(async () => {
    await client.close()
    await server.close()
  })

  it('shows the chosen version and its descendants, and sends to its end', async () => {
    expect(versions(session.state)).toEqual(['a', 'b|b2', 'c'])
    session.choose('b')
    expect(ids(session.state)).toEqual(['a', 'b'])
    session.send('on')
    const { id, parent } = await peer.expect('send')
    expect(parent).toBe('b')
    expect(ids(session.state)).toEqual(['a', 'b', id])
    expect(session.state.chosen).toBeUndefined()
    // The next message follows this one by log order.
    session.send('and on')
    expect((await peer.expect('send')).parent).toBeUndefined()
    expect(ids(session.state).slice(0, 3)).toEqual(['a', 'b', id])
    expect(session.state.turns).toHaveLength(4)
  })

  it('stays at the chosen version while others write elsewhere, and follows again when they write there', async () => {
    session.choose('b')
    peer.send(entry('s', 6, asked('d')))
    await until(session, (view) => view.messages.length === 5)
    expect([ids(session.state), session.state.chosen]).toEqual([['a', 'b'], 'b'])
    session.choose('b2')
    expect([ids(session.state), session.state.chosen]).toEqual([['a', 'b2', 'c', 'd'], undefined])
    session.choose('b')
    peer.send(entry('s', 7, asked('e', 'b')))
    await until(session, (view) => view.messages.length === 6)
    expect([ids(session.state), session.state.chosen]).toEqual([['a', 'b', 'e'], undefined])
    expect(() => session.choose('nobody')).toThrow('no such message')
  })

  it('edits and regenerates as a pending message at the same position, which interrupts', async () => {
    const edit = session.edit('b2', 'better')
    expect(await peer.expect('send')).toMatchObject({ parent: 'a', policy: 'interrupt', content: 'better' })
    expect(versions(session.state)).toEqual(['a', `b|b2|${edit.command}`])
    const again = session.regenerate('a', { model: 'other' })
    expect(await peer.expect('send')).toMatchObject({
      parent: null,
      model: 'other',
      content: [{ type: 'text', text: 'hello' }],
    })
    expect(versions(session.state)).toEqual([`a|${again.command}`])
    expect(session.state.turns[0]).toMatchObject({ kind: 'pending', after: '' })
  })

  it('returns to the earlier branch if the server refuses the message', async () => {
    session.choose('b')
    const { accepted } = session.edit('b', 'no')
    const { id } = await peer.expect('send')
    peer.send({ type: 'error', id, code: 'queue_full', message: 'Full.', retryable: false })
    await expect(accepted).rejects.toMatchObject({ code: 'queue_full' })
    expect(ids(session.state)).toEqual(['a', 'b'])
    expect(session.state.pending).toEqual([])
  })

  it('sends an unsent message of an earlier page unchanged', async () => {
    session.choose('b')
    session.send('from earlier', { id: 'old' })
    expect(await peer.expect('send')).not.toHaveProperty('parent')
    session.send('edited earlier', { id: 'older', parent: null })
    expect(await peer.expect('send')).toMatchObject({ parent: null })
  })
})
