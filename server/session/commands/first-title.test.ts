// The title of a session: the server takes it from the first words of its users, whatever the transport.
import type { Event, Send } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LmdbHarness } from '../../store/test/lmdb-harness.ts'
import type { SessionCache } from '../session-cache.ts'
import type { SessionService } from '../session-service.ts'
import { applyEntries } from '../state/apply-entry.ts'
import { EMPTY_SESSION } from '../state/session-state.ts'
import { NO_CACHE, testService } from '../test/test-service.ts'

const ANN = { connection: 'c', user: 'ann', role: 'owner' }

let harness: LmdbHarness
let sessions: SessionCache
let service: SessionService
let sends = 0

beforeEach(async () => {
  harness = await LmdbHarness.open()
  ;({ sessions, service } = testService(harness, { cache: NO_CACHE }))
})
afterEach(async () => {
  sessions.close()
  await harness.close()
})

function send(content: Send['content'], more: Partial<Send> = {}) {
  sends += 1
  return service.send({ type: 'send', id: `m${sends}`, session: 's', content, ...more }, ANN)
}

const title = () => sessions.with('s', async ({ state }) => state.title)

describe('the title of a session', () => {
  it('is that of its first message with words, and no later one changes it', async () => {
    await send([{ type: 'file', mediaType: 'image/png', url: 'https://example.org/a.png' }])
    expect(await title()).toBeUndefined()
    await send('## What is *this*?')
    await send('And that?')
    expect(await title()).toBe('What is this?')
  })

  it('comes from the history that a stateless client sends along', async () => {
    const history = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Hello' }] }]
    await send('And now?', { context: { history } })
    expect(await title()).toBe('Hello')
  })

  it('never replaces the one that a person chose', async () => {
    await service.rename('s', ANN, 'Plans')
    await send('hi')
    expect(await title()).toBe('Plans')
    await service.rename('s', ANN, 'Other plans')
    expect(await title()).toBe('Other plans')
  })

  it('is the same for every reader if two nodes give one at once, or after a person did', () => {
    const about = { type: 'message', role: 'user', author: 'ann', policy: 'queue' } as const
    const messages = ['one', 'two'].map((id): Event => ({ ...about, id, content: [], run: `run_${id}`, title: id }))
    const titleAfter = (...events: readonly Event[]) =>
      applyEntries(
        EMPTY_SESSION,
        events.map((event, at) => ({ seq: at + 1, time: 0, event })),
      ).title
    expect(titleAfter(...messages)).toBe('one')
    expect(titleAfter({ type: 'session.updated', title: 'Plans' }, ...messages)).toBe('Plans')
    expect(titleAfter(...messages, { type: 'session.updated', title: 'Plans' })).toBe('Plans')
  })
})
