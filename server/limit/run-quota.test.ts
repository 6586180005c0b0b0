// RunQuota on several nodes, with announcements in memory.
import { ReplyError } from '@parley/protocol'
import { afterEach, expect, it } from 'vitest'
import type { RunNotice, RunNotices } from '../store/ports/run-notices.ts'
import { RunQuota } from './run-quota.ts'

class Wire {
  readonly #listeners = new Set<(notice: RunNotice) => void>()
  #waiting: (() => void)[] = []

  port(): RunNotices {
    return {
      notify: (notice) => {
        for (const listener of this.#listeners) listener(notice)
        for (const done of this.#waiting.splice(0)) done()
      },
      onNotified: (listener) => {
        this.#listeners.add(listener)
        return { close: () => this.#listeners.delete(listener) }
      },
    }
  }

  /** Resolves after the next announcement. */
  announced(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

const open: RunQuota[] = []
afterEach(() => {
  for (const quota of open.splice(0)) quota.close()
})

function quota(most: number | undefined, wire?: Wire): RunQuota {
  const made = new RunQuota({ most, notices: wire?.port() })
  open.push(made)
  return made
}

function code(act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return error instanceof ReplyError ? error.code : 'other'
  }
}

it('admits runs up to the limit, and another one when a run has ended', () => {
  const node = quota(2)
  node.acquire('ann', 'r1', undefined)
  node.acquire('ann', 'r2', undefined)
  expect(code(() => node.acquire('ann', 'r3', undefined))).toBe('too_many_runs')
  expect(code(() => node.acquire('bob', 'r4', undefined))).toBeUndefined()
  node.began('ann', 'r1')
  node.ended('ann', 'r1')
  expect(code(() => node.acquire('ann', 'r3', undefined))).toBeUndefined()
})

it('applies the limit of the access token, if there is one', () => {
  const node = quota(1)
  node.acquire('ann', 'r1', 2)
  node.acquire('ann', 'r2', 2)
  expect(code(() => node.acquire('ann', 'r3', 2))).toBe('too_many_runs')
  expect(code(() => node.acquire('bob', 'r4', 0))).toBe('too_many_runs')
})

it('admits a run that replaces another one', () => {
  const node = quota(1)
  node.acquire('ann', 'r1', undefined)
  expect(code(() => node.acquire('ann', 'r2', undefined, 1))).toBeUndefined()
})

it('counts active runs on other nodes', async () => {
  const wire = new Wire()
  const [gateway, other, worker] = [quota(1, wire), quota(1, wire), quota(1, wire)]
  gateway.acquire('ann', 'r1', undefined)
  await wire.announced()
  expect(code(() => other.acquire('ann', 'r2', undefined))).toBe('too_many_runs')
  worker.began('ann', 'r1')
  await wire.announced()
  expect(other.count('ann')).toBe(1)
  worker.ended('ann', 'r1')
  await wire.announced()
  expect(code(() => other.acquire('ann', 'r2', undefined))).toBeUndefined()
})

it('keeps counting a run that it drives after another node ended it', async () => {
  const wire = new Wire()
  const [before, next] = [quota(1, wire), quota(1, wire)]
  before.began('ann', 'r1')
  next.began('ann', 'r1')
  await wire.announced()
  before.ended('ann', 'r1')
  await wire.announced()
  expect(next.count('ann')).toBe(1)
})
