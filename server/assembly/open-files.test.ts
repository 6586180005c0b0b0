// The warning about a limit of open files that is lower than the configured limits.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Logger } from '../config/logger.ts'
import { checkOpenFiles, openFilesLimit } from './open-files.ts'

it('names the limit and the need of the role', () => {
  const lines: unknown[] = []
  const logger = { warn: (fields: unknown, text: string) => lines.push([text, fields]) } as unknown as Logger
  const config = { maxConnections: 15_000, runConcurrency: 10_000, relayStreams: 9_000 }
  checkOpenFiles({ role: 'all', ...config }, logger, 15_255)
  checkOpenFiles({ role: 'worker', ...config }, logger, 10_255)
  checkOpenFiles({ role: 'all', ...config }, logger, 15_256)
  checkOpenFiles({ role: 'relay', ...config }, logger, 18_255)
  const text = 'the limit of open files is too low'
  expect(lines).toEqual([
    [text, { limit: 15_255, needed: 15_256 }],
    [text, { limit: 10_255, needed: 10_256 }],
    [text, { limit: 18_255, needed: 18_256 }],
  ])
})

it('reads the soft limit of a process on Linux, and nothing elsewhere', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-limits-'))
  const file = join(folder, 'limits')
  const head = 'Limit                     Soft Limit           Hard Limit           Units     \n'
  writeFileSync(file, `${head}Max open files            1024                 1048576              files     \n`)
  expect(openFilesLimit(file)).toBe(1_024)
  writeFileSync(file, `${head}Max open files            unlimited            unlimited            files     \n`)
  expect(openFilesLimit(file)).toBeUndefined()
  expect(openFilesLimit(join(folder, 'none'))).toBeUndefined()
  rmSync(folder, { recursive: true })
})
