// Backups of a data folder: taken during writes, complete, and with a new epoch when they are restored.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatCursor } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendMany, collect, output } from '../contracts/session-log.contract.ts'
import type { Entry } from '../ports/entry.ts'
import { backUp } from './backup.ts'
import { type LmdbStores, openLmdbStores } from './stores.ts'

let root: string
let stores: LmdbStores
const at = (name: string): string => join(root, name)

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'parley-backup-'))
  stores = await openLmdbStores({ path: at('data') })
})
afterEach(async () => {
  await stores.close()
  rmSync(root, { recursive: true, force: true })
})

describe('a backup', () => {
  it('contains a prefix of each session with everything that was acknowledged before, also during appends', async () => {
    await appendMany(stores.log, 's', 'run.r', 500)
    const acknowledged: Entry[] = []
    let isCopied = false
    const writing = Promise.all(
      Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0, last = 0; !isCopied; i += 1) {
          const entry = await stores.log.append(`s${writer}`, 'run.r', output(i), last)
          acknowledged.push(entry)
          last = entry.seq
        }
      }),
    )
    const before = acknowledged.length
    await backUp(at('data'), at('copy'))
    isCopied = true
    await writing

    const restored = await openLmdbStores({ path: at('copy') })
    const start = formatCursor(restored.log.epoch, 0)
    expect(await collect(restored.log, 's', start)).toHaveLength(500)
    let held = 0
    for (let writer = 0; writer < 20; writer += 1) {
      const kept = await collect(restored.log, `s${writer}`, start)
      const all = await collect(stores.log, `s${writer}`, formatCursor(stores.log.epoch, 0))
      expect(kept).toEqual(all.slice(0, kept.length))
      held += kept.length
    }
    expect(held).toBeGreaterThanOrEqual(before)
    await restored.close()
  })

  it('gets a new epoch each time it is restored, and keeps it across restarts', async () => {
    await backUp(at('data'), at('copy'))
    const epochs: string[] = []
    for (const name of ['first', 'second']) {
      cpSync(at('copy'), at(name), { recursive: true })
      const restored = await openLmdbStores({ path: at(name) })
      await restored.close()
      const again = await openLmdbStores({ path: at(name) })
      await again.close()
      expect(again.log.epoch).toBe(restored.log.epoch)
      epochs.push(again.log.epoch)
    }
    expect(new Set([stores.log.epoch, ...epochs]).size).toBe(3)
  })

  it('contains the run queue', async () => {
    await stores.runs.offer({ session: 's', run: 'r', command: 'c' })
    await backUp(at('data'), at('copy'))
    const restored = await openLmdbStores({ path: at('copy') })
    const taken = await new Promise((resolve) => {
      void restored.runs.take(async (run) => resolve(run), { concurrency: 1 })
    })
    expect(taken).toMatchObject({ session: 's', run: 'r' })
    await restored.close()
  })

  it('is refused if the target exists, and for a folder without a log', async () => {
    mkdirSync(at('existing'))
    await expect(backUp(at('data'), at('existing'))).rejects.toThrow(`${at('existing')} exists already`)
    await expect(backUp(at('missing'), at('copy'))).rejects.toThrow(`${at('missing')} contains no log`)
    expect(existsSync(at('missing'))).toBe(false)
  })

  it('replaces an incomplete earlier one', async () => {
    mkdirSync(at('copy.part'))
    await backUp(at('data'), at('copy'))
    expect(readdirSync(root).sort()).toEqual(['copy', 'data'])
  })
})
