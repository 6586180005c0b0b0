// The page's list of sessions: its pages, overlapping requests, and refreshes without a connection.
import { type ListedSession, ParleyError } from '@parley/client'
import { expect, it } from 'vitest'
import { Requests } from '../connection/requests.ts'
import { type SessionListClient, SessionListStore } from './session-list-store.ts'

const row = (session: string, updatedAt = 1): ListedSession => ({ session, role: 'owner', updatedAt, createdAt: 1 })

type Page = Awaited<ReturnType<SessionListClient['sessions']>>

/** A client whose requests the test answers. */
class ManualClient implements SessionListClient {
  state = { status: 'open' } as SessionListClient['state']
  readonly requests: { limit?: number; before?: string }[] = []
  readonly #pending: { resolve(page: Page): void; reject(error: Error): void }[] = []

  sessions(options: { limit?: number; before?: string } = {}): Promise<Page> {
    this.requests.push(options)
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject }))
  }

  async deleteSession(): Promise<void> {
    return undefined
  }

  answer(at: number, sessions: ListedSession[], next?: string): void {
    this.#pending[at]?.resolve({ sessions, ...(next === undefined ? {} : { next }) })
  }

  fail(at: number): void {
    this.#pending[at]?.reject(new ParleyError('disconnected', 'The server is unreachable.', true))
  }
}

const setUp = (): { client: ManualClient; list: SessionListStore } => {
  const client = new ManualClient()
  return { client, list: new SessionListStore(client, new Requests('http://127.0.0.1:9', () => undefined)) }
}
const ids = ({ state }: SessionListStore): string[] => state.sessions.map(({ session }) => session)

it('reads page after page and lists each session once', async () => {
  const { client, list } = setUp()
  const first = list.refresh()
  client.answer(0, [row('a'), row('b')], 'n1')
  await first
  expect([ids(list), list.state.next]).toEqual([['a', 'b'], 'n1'])
  const second = list.more()
  // Session b moves up between the two requests.
  client.answer(1, [row('b'), row('c')])
  await second
  expect(client.requests[1]).toMatchObject({ before: 'n1' })
  expect([ids(list), list.state.next]).toEqual([['a', 'b', 'c'], undefined])
  await list.more()
  expect(client.requests).toHaveLength(2)
  list.close()
})

it('drops the response of an outdated request, and keeps its sessions if a request fails', async () => {
  const { client, list } = setUp()
  const [early, late] = [list.refresh(), list.refresh()]
  client.answer(1, [row('new')])
  client.answer(0, [row('old')])
  await Promise.all([early, late])
  expect(ids(list)).toEqual(['new'])
  const third = list.refresh()
  client.fail(2)
  await third
  expect([ids(list), list.state.status]).toEqual([['new'], 'failed'])
  list.close()
})

it('sends no request without a connection, and removes a deleted session at once', async () => {
  const { client, list } = setUp()
  client.state = { ...client.state, status: 'waiting' }
  await list.refresh()
  expect(client.requests).toEqual([])
  client.state = { ...client.state, status: 'open' }
  const read = list.refresh()
  client.answer(0, [row('a'), row('b')])
  await read
  await list.delete('a')
  expect(ids(list)).toEqual(['b'])
  list.close()
})

// Regression: under load the list lags behind the log, and the page showed the previous title.
it('shows the title from the open session’s log, even if the list still has the previous one', async () => {
  const { client, list } = setUp()
  list.overrideTitle('a', 'new name')
  const read = list.refresh()
  client.answer(0, [{ ...row('a'), title: 'old name' }, row('b')])
  await read
  expect(list.state.sessions.map(({ title }) => title)).toEqual(['new name', undefined])
  list.overrideTitle('a', 'newer name')
  expect(list.state.sessions[0]?.title).toBe('newer name')
  list.hide('a')
  const again = list.refresh()
  client.answer(1, [row('a'), row('b')])
  await again
  expect(ids(list)).toEqual(['b'])
  list.close()
})
