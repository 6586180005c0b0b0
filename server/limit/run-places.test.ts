// Places of runs over two nodes whose notices are handed over by hand.
import { ReplyError } from '@parley/protocol'
import { afterEach, expect, it } from 'vitest'
import type { RunNotice, RunNotices } from '../store/ports/run-notices.ts'
import { RunPlaces } from './run-places.ts'

class Wire {
  readonly #listeners = new Set<(notice: RunNotice) => void>()
  #waiting: (() => void)[] = []

  port(): RunNotices {
    return {
      tell: (notice) => {
        for (const listener of this.#listeners) listener(notice)
        for (const done of this.#waiting.splice(0)) done()
      },
      onTold: (listener) => {
        this.#listeners.add(listener)
        return { close: () => this.#listeners.delete(listener) }
      },
    }
  }

  /** The next notice was told. */
  told(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

const open: RunPlaces[] = []
afterEach(() => {
  for (const places of open.splice(0)) places.close()
})

function places(most: number | undefined, wire?: Wire): RunPlaces {
  const made = new RunPlaces({ most, notices: wire?.port() })
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

it('lets in as many as may be, and one more when one is over', () => {
  const node = places(2)
  node.enter('ann', 'r1', undefined)
  node.enter('ann', 'r2', undefined)
  expect(code(() => node.enter('ann', 'r3', undefined))).toBe('too_many_runs')
  expect(code(() => node.enter('bob', 'r4', undefined))).toBeUndefined()
  node.began('ann', 'r1')
  node.ended('ann', 'r1')
  expect(code(() => node.enter('ann', 'r3', undefined))).toBeUndefined()
})

it('goes by what the token says, where it says something', () => {
  const node = places(1)
  node.enter('ann', 'r1', 2)
  node.enter('ann', 'r2', 2)
  expect(code(() => node.enter('ann', 'r3', 2))).toBe('too_many_runs')
  expect(code(() => node.enter('bob', 'r4', 0))).toBe('too_many_runs')
})

it('has a place for a run that takes the place of others', () => {
  const node = places(1)
  node.enter('ann', 'r1', undefined)
  expect(code(() => node.enter('ann', 'r2', undefined, 1))).toBeUndefined()
})

it('counts what is under way on other nodes', async () => {
  const wire = new Wire()
  const [gateway, other, worker] = [places(1, wire), places(1, wire), places(1, wire)]
  gateway.enter('ann', 'r1', undefined)
  await wire.told()
  expect(code(() => other.enter('ann', 'r2', undefined))).toBe('too_many_runs')
  worker.began('ann', 'r1')
  await wire.told()
  expect(other.count('ann')).toBe(1)
  worker.ended('ann', 'r1')
  await wire.told()
  expect(code(() => other.enter('ann', 'r2', undefined))).toBeUndefined()
})

it('does not take back what it drives itself by now', async () => {
  const wire = new Wire()
  const [before, next] = [places(1, wire), places(1, wire)]
  before.began('ann', 'r1')
  next.began('ann', 'r1')
  await wire.told()
  before.ended('ann', 'r1')
  await wire.told()
  expect(next.count('ann')).toBe(1)
})
