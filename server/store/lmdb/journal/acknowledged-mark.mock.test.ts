// The mark must survive a write that fails: one failure once ended it for the life of the process.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { AcknowledgedMark } from './acknowledged-mark.ts'

const disk = vi.hoisted(() => ({ isFull: false }))
vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>()
  const writeSync = (...args: Parameters<typeof fs.writeSync>): number => {
    if (disk.isFull) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    return fs.writeSync(...args)
  }
  return { ...fs, writeSync }
})

const folder = mkdtempSync(join(tmpdir(), 'parley-mark-'))
afterEach(() => rmSync(folder, { recursive: true }))

it('is written again after a write that failed', () => {
  const mark = new AcknowledgedMark(folder)
  mark.write(1)
  disk.isFull = true
  mark.write(2)
  expect(mark.read()).toBe(1)
  disk.isFull = false
  mark.write(3)
  expect(mark.read()).toBe(3)
  mark.close()
})
