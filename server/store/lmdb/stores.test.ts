// The LMDB stores of one data folder together: opening, closing, limits and background work.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendMany, collect, output } from '../contracts/session-log.contract.ts'
import { StorageError } from '../ports/errors.ts'
import { LmdbEnvironment } from './environment.ts'
import { openState } from './log-state.ts'
import { openLmdbStores } from './stores.ts'
import { openTables } from './tables.ts'

let path: string

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'parley-stores-'))
})
afterEach(() => {
  rmSync(path, { recursive: true, force: true })
})

const run = { session: 's', run: 'r', command: 'c' }

describe('LMDB stores', () => {
  it('create their folder, and can be closed twice', async () => {
    const deep = join(path, 'a', 'b')
    const stores = await openLmdbStores({ path: deep })
    expect(existsSync(join(deep, 'data.mdb'))).toBe(true)
    await Promise.all([stores.close(), stores.close()])
    expect(readdirSync(deep).filter((name) => name.endsWith('.sock'))).toEqual([])
  })

  it('commit queued appends when they are closed, and refuse later calls', async () => {
    const stores = await openLmdbStores({ path })
    const waiting = Array.from({ length: 500 }, (_, i) => stores.log.append('s', `in.${i}`, output(i), 0))
    const closing = stores.close()
    expect(await Promise.all(waiting)).toHaveLength(500)
    await closing
    const unavailable = new StorageError('unavailable')
    const start = `${stores.log.epoch}.0`
    await expect(stores.log.append('s', 'in.x', output(0), 0)).rejects.toEqual(unavailable)
    await expect(stores.log.last('s', 'in.x')).rejects.toEqual(unavailable)
    await expect(stores.log.head('another')).rejects.toEqual(unavailable)
    await expect(collect(stores.log, 's', start)).rejects.toEqual(unavailable)
    await expect(stores.log.follow('s', start, { entries: () => undefined })).rejects.toEqual(unavailable)
    await expect(stores.log.sweep()).rejects.toEqual(unavailable)
    await expect(stores.transcripts.load('s')).rejects.toEqual(unavailable)
    await expect(stores.runs.offer(run)).rejects.toEqual(unavailable)
    await expect(stores.runs.take(async () => undefined, { concurrency: 1 })).rejects.toEqual(unavailable)
    const again = await openLmdbStores({ path })
    expect(await collect(again.log, 's', start)).toHaveLength(500)
    await again.close()
  })

  it('close within their time limit if a handler does not end', async () => {
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
    const stores = await openLmdbStores({ path, logger, closeTimeoutMs: 10 })
    const started = new Promise<void>((resolve) => {
      void stores.runs.take(
        () => {
          resolve()
          return new Promise(() => undefined)
        },
        { concurrency: 1 },
      )
    })
    await stores.runs.offer(run)
    await started
    await stores.close()
    expect(lines.join('')).toContain('did not hand over in time')
  })

  it('refuse appends over the limits of the queue, and accept appends again when it is empty', async () => {
    const limits = { queueEntries: 10, queueBytes: 5000 }
    const stores = await openLmdbStores({ path, limits })
    const many = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) => stores.log.append('s', `in.${i}`, output(i), 0)),
    )
    expect(many.filter((result) => result.status === 'fulfilled')).toHaveLength(10)
    for (const result of many)
      if (result.status === 'rejected') expect(result.reason).toEqual(new StorageError('unavailable'))
    const large = await Promise.allSettled(
      Array.from({ length: 5 }, (_, i) => stores.log.append('s', `in.large${i}`, output(i, 'x'.repeat(2000)), 0)),
    )
    expect(large.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected'])
    // An append over the limit is accepted if the queue is empty.
    await stores.log.append('s', 'in.huge', output(0, 'x'.repeat(20_000)), 0)
    expect(await collect(stores.log, 's', `${stores.log.epoch}.0`)).toHaveLength(13)
    await stores.close()
  })

  it('let other work run between commits, even if the disk is fast', async () => {
    const stores = await openLmdbStores({ path, limits: { groupEntries: 16 } })
    let isDone = false
    let sinceTurn = 0
    let most = 0
    const turn = (): void => {
      sinceTurn = 0
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    // With a queue this long, the log never waits for more appends.
    const appends = Array.from({ length: 4_500 }, async (_, i) => {
      await stores.log.append(`s${i % 1_500}`, `in.${i}`, output(i), 0)
      sinceTurn++
      most = Math.max(most, sinceTurn)
    })
    await Promise.all(appends)
    isDone = true
    expect(most).toBeLessThanOrEqual(32)
    await stores.close()
  })

  it('warn if the log exceeds its size limit and retention may remove nothing', async () => {
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
    const stores = await openLmdbStores({ path, logger, retention: { maxBytes: 1000 } })
    await appendMany(stores.log, 's', 'run.r', 20, 'a secret of the user')
    await stores.log.sweep()
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('exceeds its size limit')
    expect(lines[0]).not.toContain('secret')
    await stores.close()
  })

  it('start a checkpoint when the journal has grown', async () => {
    const stores = await openLmdbStores({ path, limits: { journalBytes: 10_000 } })
    const entries = await appendMany(stores.log, 's', 'run.r', 400)
    await stores.close()
    const environment = new LmdbEnvironment({ path })
    const { state, journal } = await openState(environment, openTables(environment), { path })
    expect(state.groups.length).toBeGreaterThan(0)
    expect(state.groups.length).toBeLessThan(150)
    await journal.close()
    await environment.close()
    const again = await openLmdbStores({ path })
    expect((await collect(again.log, 's', `${again.log.epoch}.0`)).map(({ seq }) => seq)).toEqual(
      entries.map(({ seq }) => seq),
    )
    await again.close()
  })
})
