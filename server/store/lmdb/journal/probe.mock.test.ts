// A disk with space on which no file can be created: files that exist can still be written, so a probe that writes one
// of them would find nothing.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { StorageError } from '../../ports/errors.ts'
import { Journal } from './journal.ts'

const disk = vi.hoisted(() => ({ hasInodes: true }))
vi.mock('node:fs/promises', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs/promises')>()
  const withInode =
    <A extends readonly unknown[], T>(work: (path: string, ...args: A) => Promise<T>) =>
    async (path: string, ...args: A): Promise<T> => {
      if (!disk.hasInodes && !existsSync(path)) {
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      }
      return work(path, ...args)
    }
  return { ...fs, open: withInode(fs.open), writeFile: withInode(fs.writeFile) }
})

const folder = mkdtempSync(join(tmpdir(), 'parley-probe-'))
afterEach(() => rmSync(folder, { recursive: true }))

it('fails while no file can be created, and works again when one can', async () => {
  const journal = await Journal.open({ folder, segmentBytes: 2_000 }, 0, () => undefined)
  await journal.append(1, 1, 'one')
  await journal.probe()
  disk.hasInodes = false
  await expect(journal.probe()).rejects.toEqual(new StorageError('full'))
  // The current file has space.
  await journal.append(2, 1, 'two')
  disk.hasInodes = true
  await journal.probe()
  await journal.close()
})
