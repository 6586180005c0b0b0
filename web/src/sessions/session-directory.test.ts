// The directory on the page: pages of the list, questions that cross each other, and what is asked without a connection.
import { type ListedSession, ParleyError } from '@parley/client'
import { expect, it } from 'vitest'
import { Requests } from '../connection/requests.ts'
import { type Listing, SessionDirectory } from './session-directory.ts'

const row = (session: string, updatedAt = 1): ListedSession => ({ session, role: 'owner', updatedAt, createdAt: 1 })

/** A server's list, whose answers come when the test says so. */
class Shelf implements Listing {
  state = { status: 'open' } as Listing['state']
  readonly asked: { limit?: number; before?: string }[] = []
  readonly #answers: { resolve(page: Awaited<ReturnType<Listing['sessions']>>): void; reject(error: Error): void }[] =
    []

  sessions(options: { limit?: number; before?: string } = {}): ReturnType<Listing['sessions']> {
    this.asked.push(options)
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }))
  }

  async deleteSession(): Promise<void> {
    return undefined
  }

  answer(at: number, sessions: ListedSession[], next?: string): void {
    this.#answers[at]?.resolve({ sessions, ...(next === undefined ? {} : { next }) })
  }

  fail(at: number): void {
    this.#answers[at]?.reject(new ParleyError('disconnected', 'The server was not reached.', true))
  }
}

const made = (): { shelf: Shelf; directory: SessionDirectory } => {
  const shelf = new Shelf()
  return { shelf, directory: new SessionDirectory(shelf, new Requests('http://127.0.0.1:9', () => undefined)) }
}
const ids = ({ state }: SessionDirectory): string[] => state.sessions.map(({ session }) => session)

it('goes on from page to page, with each session once, and reads them all again when it is refreshed', async () => {
  const { shelf, directory } = made()
  const first = directory.refresh()
  shelf.answer(0, [row('a'), row('b')], 'n1')
  await first
  expect([ids(directory), directory.state.next]).toEqual([['a', 'b'], 'n1'])
  const second = directory.more()
  // It moved up while it was read.
  shelf.answer(1, [row('b'), row('c')])
  await second
  expect(shelf.asked[1]).toMatchObject({ before: 'n1' })
  expect([ids(directory), directory.state.next]).toEqual([['a', 'b', 'c'], undefined])
  await directory.more()
  expect(shelf.asked).toHaveLength(2)
  directory.close()
})

it('drops what comes for an earlier question, and keeps what it has when the server is away', async () => {
  const { shelf, directory } = made()
  const [early, late] = [directory.refresh(), directory.refresh()]
  shelf.answer(1, [row('new')])
  shelf.answer(0, [row('old')])
  await Promise.all([early, late])
  expect(ids(directory)).toEqual(['new'])
  const third = directory.refresh()
  shelf.fail(2)
  await third
  expect([ids(directory), directory.state.status]).toEqual([['new'], 'failed'])
  directory.close()
})

it('asks nothing without a connection, and what is deleted goes at once', async () => {
  const { shelf, directory } = made()
  shelf.state = { ...shelf.state, status: 'waiting' }
  await directory.refresh()
  expect(shelf.asked).toEqual([])
  shelf.state = { ...shelf.state, status: 'open' }
  const read = directory.refresh()
  shelf.answer(0, [row('a'), row('b')])
  await read
  await directory.delete('a')
  expect(ids(directory)).toEqual(['b'])
  directory.close()
})

// The list follows the log, under load by more than it is waited for: a session was shown by the name that it had had.
it('shows the session that is open as its log calls it, whatever the list still says', async () => {
  const { shelf, directory } = made()
  directory.know('a', 'new name')
  const read = directory.refresh()
  shelf.answer(0, [{ ...row('a'), title: 'old name' }, row('b')])
  await read
  expect(directory.state.sessions.map(({ title }) => title)).toEqual(['new name', undefined])
  directory.know('a', 'newer name')
  expect(directory.state.sessions[0]?.title).toBe('newer name')
  directory.knowShut('a')
  const again = directory.refresh()
  shelf.answer(1, [row('a'), row('b')])
  await again
  expect(ids(directory)).toEqual(['b'])
  directory.close()
})
