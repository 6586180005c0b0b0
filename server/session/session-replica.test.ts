// A replica that can no longer follow its log rejects pending and new waits. One that has all of its session asks the store for no more.
import { getEventListeners } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../store/lmdb/stores.ts'
import { StorageError } from '../store/ports/errors.ts'
import type { Follower } from '../store/ports/session-log.ts'
import { SessionReplica, TIMED_OUT } from './session-replica.ts'

let path: string
let stores: LmdbStores
let follower: Follower | undefined

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-session-'))
  stores = await openLmdbStores({ path, logger: pino({ enabled: false }) })
  const follow = stores.log.follow.bind(stores.log)
  stores.log.follow = async (session, after, own) => {
    follower = own
    return follow(session, after, own)
  }
})
afterEach(async () => {
  vi.useRealTimers()
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

describe('a lost session', () => {
  it('rejects pending waits, and new waits immediately', async () => {
    const session = await SessionReplica.open(stores, 's')
    const never = new AbortController().signal
    const pending = session.reached(1, never)
    const lost = new StorageError('unavailable')
    follower?.lost?.(lost)
    await expect(pending).rejects.toBe(lost)
    await expect(session.reached(1, never)).rejects.toBe(lost)
    await session.reached(0, never)
    expect(session.lost).toBe(lost)
  })
})

it('rejects a wait after its timeout, and leaves no timer and no listener behind a wait that has ended', async () => {
  const session = await SessionReplica.open(stores, 's')
  const signal = new AbortController().signal
  await expect(session.until(() => undefined, signal, 1)).rejects.toBe(TIMED_OUT)
  await expect(session.until(() => undefined, undefined, -1)).rejects.toBe(TIMED_OUT)
  vi.useFakeTimers()
  let isDue = false
  const pending = session.until(() => isDue || undefined, signal, 2 ** 40)
  expect([vi.getTimerCount(), getEventListeners(signal, 'abort')]).toEqual([1, [expect.any(Function)]])
  await vi.advanceTimersByTimeAsync(60_000)
  isDue = true
  follower?.entries([])
  await expect(pending).resolves.toBe(true)
  expect([vi.getTimerCount(), getEventListeners(signal, 'abort')]).toEqual([0, []])
})

it('has all messages of a session that it has followed from the beginning', async () => {
  const session = await SessionReplica.open(stores, 's')
  const count = 3_000
  for (let i = 0; i < count; i += 1) {
    const content = [{ type: 'text' as const, text: 'x'.repeat(1_000) }]
    const about = { role: 'user', author: 'ann', policy: 'queue', run: `r${i}` } as const
    await stores.log.append('s', `message.m${i}`, { type: 'message', id: `m${i}`, ...about, content }, 0)
  }
  await session.reached(count)
  // Because of this, these two read no transcript.
  expect(session.state.messages.map(({ event }) => event.id)).toEqual(Array.from({ length: count }, (_, i) => `m${i}`))
  const segment = vi.spyOn(stores.transcripts, 'segment')
  expect([await session.hasMessage('m0'), await session.hasMessage('other')]).toEqual([true, false])
  expect(await session.stateWithHistory(`m${count - 1}`)).toBe(session.state)
  expect(segment).not.toHaveBeenCalled()
})
