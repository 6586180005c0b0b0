// Backups of a data folder: taken in the middle of work, whole, and with an epoch of their own when they are restored.
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
  it('holds a beginning of each session that has all that was acknowledged before it, while appends go on', async () => {
    await appendMany(stores.log, 's', 'run.r', 500)
    const acknowledged: Entry[] = []
    let copied = false
    const writing = Promise.all(
      Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0, last = 0; !copied; i += 1) {
          const entry = await stores.log.append(`s${writer}`, 'run.r', output(i), last)
          acknowledged.push(entry)
          last = entry.seq
        }
      }),
    )
    const before = acknowledged.length
    await backUp(at('data'), at('copy'))
    copied = true
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

  it('has another epoch each time it is restored, and keeps that one over restarts', async () => {
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

  it('brings the queue of runs along', async () => {
    await stores.runs.offer({ session: 's', run: 'r', command: 'c' })
    await backUp(at('data'), at('copy'))
    const restored = await openLmdbStores({ path: at('copy') })
    const taken = await new Promise((resolve) => {
      void restored.runs.take(async (run) => resolve(run), { concurrency: 1 })
    })
    expect(taken).toMatchObject({ session: 's', run: 'r' })
    await restored.close()
  })

  it('is refused where something is, and of a folder without a log', async () => {
    mkdirSync(at('there'))
    await expect(backUp(at('data'), at('there'))).rejects.toThrow(`${at('there')} is there already`)
    await expect(backUp(at('nothing'), at('copy'))).rejects.toThrow(`there is no log in ${at('nothing')}`)
    expect(existsSync(at('nothing'))).toBe(false)
  })

  it('that did not come to its end is taken anew', async () => {
    mkdirSync(at('copy.part'))
    await backUp(at('data'), at('copy'))
    expect(readdirSync(root).sort()).toEqual(['copy', 'data'])
  })
})
