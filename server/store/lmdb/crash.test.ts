// LMDB stores after kill -9, with a second process, and on a full disk.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendMany, collect, output } from '../contracts/session-log.contract.ts'
import { StorageError } from '../ports/errors.ts'
import { DataFolderInUse } from './data-folder-lock.ts'
import { openLmdbStores } from './stores.ts'

const CHILD = fileURLToPath(new URL('../test/append-child.mjs', import.meta.url))
const SMALL = JSON.stringify({ journalBytes: 4000, journalAgeMs: 100, groupEntries: 16, segmentBytes: 3000 })
/** For a process whose files may not grow much. */
const SMALL_FILES = JSON.stringify({ journalBytes: 50_000, segmentBytes: 100_000 })

/** A line of the child process. */
interface Acknowledged {
  readonly session: string
  readonly index: number
  readonly seq: number
  readonly rollup: boolean
}

let path: string

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'parley-crash-'))
})
afterEach(() => {
  rmSync(path, { recursive: true, force: true })
})

/** Collects the child's lines, and kills the child when `until` returns true. */
async function listen<T>(child: ChildProcess, until: (lines: readonly T[]) => boolean): Promise<T[]> {
  const lines: T[] = []
  let isKilled = false
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    lines.push(JSON.parse(line) as T)
    if (!isKilled && until(lines)) {
      isKilled = true
      child.kill('SIGKILL')
    }
  }
  return lines
}

describe('a killed process', () => {
  it('loses no acknowledged entry and shows no entry twice, after every kill', async () => {
    const sessions = 8
    const known = new Map<string, Acknowledged[]>()
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [CHILD, path, String(sessions), SMALL], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const enough = 100 + Math.floor(Math.random() * 400)
      const lines = await listen<Acknowledged>(child, (received) => received.length >= enough)
      for (const line of lines) known.set(line.session, [...(known.get(line.session) ?? []), line])

      const stores = await openLmdbStores({ path })
      for (let i = 0; i < sessions; i++) {
        const acknowledged = known.get(`s${i}`) ?? []
        const entries = await collect(stores.log, `s${i}`, `${stores.log.epoch}.0`)
        const indexes = entries.map((entry) => (entry.event as { index: number }).index)
        // The log has no gap after the last rollup, and ends at or after the last acknowledged entry.
        expect(entries.slice(1).every((entry) => !entry.rollup)).toBe(true)
        expect(indexes).toEqual(indexes.map((_, at) => (indexes[0] as number) + at))
        const last = acknowledged.at(-1)
        expect(indexes.at(-1) ?? -1).toBeGreaterThanOrEqual(last?.index ?? -1)
        const lastRollup = acknowledged.findLast((line) => line.rollup)
        expect(indexes[0] ?? 0).toBeGreaterThanOrEqual(lastRollup?.index ?? 0)
        for (const line of acknowledged) {
          if (line.index < (indexes[0] as number)) continue
          expect(entries[line.index - (indexes[0] as number)]?.seq).toBe(line.seq)
        }
        expect(await stores.log.last(`s${i}`, 'run.r')).toBe(entries.at(-1)?.seq ?? 0)
      }
      await stores.close()
    }
  }, 60_000)
})

describe('a data folder', () => {
  it('is refused to a second process while the first isLive, and free after kill -9', async () => {
    const child = spawn(process.execPath, [CHILD, path, '1', '{}'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    await expect(openLmdbStores({ path })).rejects.toThrow(DataFolderInUse)
    child.stdout?.resume()
    child.kill('SIGKILL')
    await once(child, 'exit')
    const stores = await openLmdbStores({ path })
    expect(await stores.log.last('s0', 'run.r')).toBeGreaterThan(0)
    await stores.close()
  })

  it('is locked for a second opener in the same process, and free after close', async () => {
    const stores = await openLmdbStores({ path })
    await expect(openLmdbStores({ path })).rejects.toThrow(/in use by another/)
    await appendMany(stores.log, 's', 'run.r', 2)
    await stores.close()
    await (await openLmdbStores({ path })).close()
  })

  it('has at most one winner if several callers open it at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 4 }, () => openLmdbStores({ path })))
    const opened = results.filter((result) => result.status === 'fulfilled')
    expect(opened.length).toBeLessThanOrEqual(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(DataFolderInUse)
    for (const result of opened) await result.value.close()
  })

  it('can have a path that is too long for a socket', async () => {
    const deep = join(path, 'd'.repeat(120))
    const stores = await openLmdbStores({ path: deep })
    await expect(openLmdbStores({ path: deep })).rejects.toThrow(DataFolderInUse)
    await stores.close()
  })
})

interface ChildLine {
  readonly seq?: number
  readonly failed?: string
  readonly again?: number | string
}

describe('a full disk', () => {
  it('is reported as full, leaves no partial write, and appends work again once there is space', async () => {
    // Files of the child may not exceed about 1 MB, so its writes fail as they do on a full disk.
    const child = spawn(
      '/bin/sh',
      ['-c', `ulimit -S -f 1600; exec "$0" "$@"`, process.execPath, CHILD, path, '4', SMALL_FILES, '1000'],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    const lines: ChildLine[] = []
    const raised: boolean[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      const parsed = JSON.parse(line) as ChildLine
      lines.push(parsed)
      if (parsed.failed === undefined) continue
      raised.push(spawnSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']).status === 0)
      child.stdin.write('continue\n')
    }
    const failed = lines.find((line) => line.failed !== undefined)
    expect(failed?.failed).toBe('full')
    const again = lines.at(-1)?.again
    // If the limit cannot be raised from outside, the next append must fail with a typed error again.
    if (raised[0] === true) expect(again).toBeTypeOf('number')
    else expect(again).toMatch(/no space/)

    const stores = await openLmdbStores({ path })
    const kept = new Set<number>()
    for (let i = 0; i < 4; i++) {
      for (const { seq } of await collect(stores.log, `s${i}`, `${stores.log.epoch}.0`)) kept.add(seq)
    }
    const acknowledged = lines.flatMap((line) => (line.seq === undefined ? [] : [line.seq]))
    expect(acknowledged.length).toBeGreaterThan(100)
    expect(acknowledged.filter((seq) => !kept.has(seq))).toEqual([])
    expect(kept.size).toBe(acknowledged.length + (typeof again === 'number' ? 1 : 0))
    await stores.close()
  }, 30_000)

  it('is detected before it is full, and stored data stays readable', async () => {
    const first = await openLmdbStores({ path })
    await appendMany(first.log, 's', 'run.r', 3)
    await first.close()
    const stores = await openLmdbStores({ path, reserveBytes: Number.MAX_SAFE_INTEGER })
    await expect(stores.log.append('s', 'run.x', output(0), 0)).rejects.toEqual(new StorageError('full'))
    await expect(stores.runs.offer({ session: 's', run: 'r', command: 'c' })).rejects.toEqual(new StorageError('full'))
    const transcript = { cursor: `${stores.log.epoch}.1`, sealed: 0, entries: [], commands: [] }
    await expect(stores.transcripts.save('s', transcript, 0)).rejects.toEqual(new StorageError('full'))
    expect(await collect(stores.log, 's', `${stores.log.epoch}.0`)).toHaveLength(3)
    expect(await stores.log.last('s', 'run.x')).toBe(0)
    await stores.close()
  })
})
