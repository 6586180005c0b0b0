// Checkpoints of the journal: the log is the same before, after, and after a crash between any two steps.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendMany, collect, output } from '../contracts/session-log.contract.ts'
import { checkpoint } from './checkpoint.ts'
import { LmdbEnvironment } from './environment.ts'
import { readBatch } from './log-reader.ts'
import { openState } from './log-state.ts'
import { type LmdbStores, openLmdbStores } from './stores.ts'
import { openTables } from './tables.ts'

const SESSIONS = 300

let path: string

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'parley-checkpoint-'))
})
afterEach(() => {
  rmSync(path, { recursive: true, force: true })
})

async function histories(stores: LmdbStores): Promise<string[]> {
  const all: string[] = []
  for (let i = 0; i < SESSIONS; i++) {
    const entries = await collect(stores.log, `s${i}`, `${stores.log.epoch}.0`)
    all.push(
      entries.map(({ seq, prev, rollup, subject, json }) => [seq, prev, rollup, subject, json].join(' ')).join('\n'),
    )
  }
  return all
}

/** Runs a checkpoint that "crashes" after this number of steps. @returns the steps that reached the disk */
async function checkpointSteps(count: number): Promise<number> {
  const environment = new LmdbEnvironment({ path })
  const { state, journal } = await openState(environment, openTables(environment), { path })
  let done = 0
  for (const step of checkpoint(state, state.last, (to) => journal.release(to))) {
    if (done === count) break
    await environment.write(() => step.write())
    environment.refresh()
    step.done()
    done++
  }
  await journal.close()
  await environment.close()
  return done
}

describe('a checkpoint', () => {
  it('can crash after any of its steps, and the log is the same', async () => {
    const lasts = new Map<string, number>()
    const grow = async (stores: LmdbStores, round: number): Promise<void> => {
      await Promise.all(
        Array.from({ length: SESSIONS }, async (_, i) => {
          const before = lasts.get(`s${i}`) ?? 0
          const entries = await appendMany(stores.log, `s${i}`, 'run.r', 2, undefined, before)
          const last = await stores.log.append(`s${i}`, 'run.r', output(9), entries[1]?.seq ?? 0, {
            rollup: i % 2 === round % 2,
          })
          await stores.log.append(`s${i}`, `in.c${round}`, output(10), 0)
          lasts.set(`s${i}`, last.seq)
        }),
      )
    }
    let steps = 0
    for (let round = 0; ; round++) {
      const stores = await openLmdbStores({ path })
      await grow(stores, round)
      const before = await histories(stores)
      await stores.close()
      const done = await checkpointSteps(round)
      const again = await openLmdbStores({ path })
      expect(await histories(again)).toEqual(before)
      for (const [session, last] of lasts) expect(await again.log.last(session, 'run.r')).toBe(last)
      await again.close()
      if (done < round) break
      steps = Math.max(steps, done)
    }
    expect(steps).toBeGreaterThanOrEqual(4)
  }, 30_000)

  it('keeps reads complete and without repeats while a step is on disk but not yet in memory', async () => {
    const stores = await openLmdbStores({ path })
    const entries = await appendMany(stores.log, 's0', 'run.r', 10)
    await stores.log.checkpoint()
    const rollup = await stores.log.append('s0', 'run.r', output(10), entries[9]?.seq ?? 0, { rollup: true })
    const more = await appendMany(stores.log, 's0', 'run.q', 5)
    await stores.close()
    const expected = [rollup, ...more].map((entry) => entry.seq)

    const environment = new LmdbEnvironment({ path })
    const { state, journal } = await openState(environment, openTables(environment), { path })
    const seqs = (): number[] => readBatch(state, 's0', 0).entries.map((entry) => entry.seq)
    expect(seqs()).toEqual(expected)
    for (const step of checkpoint(state, state.last, (to) => journal.release(to))) {
      await environment.write(() => step.write())
      environment.refresh()
      expect(seqs()).toEqual(expected)
      step.done()
      expect(seqs()).toEqual(expected)
    }
    await journal.close()
    await environment.close()
  })

  it('empties the journal, and creates one chunk for a session of small entries', async () => {
    const stores = await openLmdbStores({ path })
    const entries = await appendMany(stores.log, 's0', 'run.r', 100)
    await stores.log.checkpoint()
    await stores.close()
    const environment = new LmdbEnvironment({ path })
    const { state, journal } = await openState(environment, openTables(environment), { path })
    expect(state.groups).toEqual([])
    expect(state.last).toBe(entries[99]?.seq)
    const chunks = [...state.tables.chunks.range(undefined, undefined)]
    expect(chunks.map(({ key }) => key)).toEqual([['s0', entries[99]?.seq]])
    await journal.close()
    await environment.close()
  })
})
