// A replica that can no longer follow its log rejects pending and new waits.
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
  expect(vi.getTimerCount()).toBe(1)
  await vi.advanceTimersByTimeAsync(60_000)
  isDue = true
  follower?.entries([])
  await expect(pending).resolves.toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})
