// What only a killed process, a second one, or a disk without space can show of the LMDB stores.
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
/** The journal of a process whose files may not grow much. */
const TIGHT = JSON.stringify({ journalBytes: 50_000, segmentBytes: 100_000 })

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

/** Collects what the child says; `until` decides when it has said enough. */
async function listen<T>(child: ChildProcess, until: (lines: readonly T[]) => boolean): Promise<T[]> {
  const lines: T[] = []
  let enough = false
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    lines.push(JSON.parse(line) as T)
    if (!enough && until(lines)) {
      enough = true
      child.kill('SIGKILL')
    }
  }
  return lines
}

describe('a killed process', () => {
  it('loses nothing that was acknowledged and shows nothing twice, again and again', async () => {
    const sessions = 8
    const known = new Map<string, Acknowledged[]>()
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [CHILD, path, String(sessions), SMALL], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const enough = 100 + Math.floor(Math.random() * 400)
      const lines = await listen<Acknowledged>(child, (said) => said.length >= enough)
      for (const line of lines) known.set(line.session, [...(known.get(line.session) ?? []), line])

      const stores = await openLmdbStores({ path })
      for (let i = 0; i < sessions; i++) {
        const acknowledged = known.get(`s${i}`) ?? []
        const entries = await collect(stores.log, `s${i}`, `${stores.log.epoch}.0`)
        const indexes = entries.map((entry) => (entry.event as { index: number }).index)
        // What the log shows goes on without a hole from the last roll-up, and ends at or after the last acknowledged.
        expect(entries.slice(1).every((entry) => !entry.rollup)).toBe(true)
        expect(indexes).toEqual(indexes.map((_, at) => (indexes[0] as number) + at))
        const last = acknowledged.at(-1)
        expect(indexes.at(-1) ?? -1).toBeGreaterThanOrEqual(last?.index ?? -1)
        const rolledUp = acknowledged.findLast((line) => line.rollup)
        expect(indexes[0] ?? 0).toBeGreaterThanOrEqual(rolledUp?.index ?? 0)
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
  it('is refused to a second process while the first lives, and free after kill -9', async () => {
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

  it('is refused to a second opener in the same process, and free after close', async () => {
    const stores = await openLmdbStores({ path })
    await expect(openLmdbStores({ path })).rejects.toThrow(/in use by another/)
    await appendMany(stores.log, 's', 'run.r', 2)
    await stores.close()
    await (await openLmdbStores({ path })).close()
  })

  it('has one winner when several open it at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 4 }, () => openLmdbStores({ path })))
    const opened = results.filter((result) => result.status === 'fulfilled')
    expect(opened.length).toBeLessThanOrEqual(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(DataFolderInUse)
    for (const result of opened) await result.value.close()
  })

  it('takes a path that is too long for a socket', async () => {
    const deep = join(path, 'd'.repeat(120))
    const stores = await openLmdbStores({ path: deep })
    await expect(openLmdbStores({ path: deep })).rejects.toThrow(DataFolderInUse)
    await stores.close()
  })
})

interface Said {
  readonly seq?: number
  readonly failed?: string
  readonly again?: number | string
}

describe('a full disk', () => {
  it('is told as such, half-writes nothing, and when there is space appends work again', async () => {
    // A file may not grow over about 1 MB: writes fail in the child as they do on a disk without space.
    const child = spawn(
      '/bin/sh',
      ['-c', `ulimit -S -f 1600; exec "$0" "$@"`, process.execPath, CHILD, path, '4', TIGHT, '1000'],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    const said: Said[] = []
    const raised: boolean[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      const parsed = JSON.parse(line) as Said
      said.push(parsed)
      if (parsed.failed === undefined) continue
      raised.push(spawnSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']).status === 0)
      child.stdin.write('go on\n')
    }
    const failed = said.find((line) => line.failed !== undefined)
    expect(failed?.failed).toBe('full')
    const again = said.at(-1)?.again
    // Where the limit cannot be raised from outside, the answer must again be a typed one.
    if (raised[0] === true) expect(again).toBeTypeOf('number')
    else expect(again).toMatch(/no space/)

    const stores = await openLmdbStores({ path })
    const kept = new Set<number>()
    for (let i = 0; i < 4; i++) {
      for (const { seq } of await collect(stores.log, `s${i}`, `${stores.log.epoch}.0`)) kept.add(seq)
    }
    const acknowledged = said.flatMap((line) => (line.seq === undefined ? [] : [line.seq]))
    expect(acknowledged.length).toBeGreaterThan(100)
    expect(acknowledged.filter((seq) => !kept.has(seq))).toEqual([])
    expect(kept.size).toBe(acknowledged.length + (typeof again === 'number' ? 1 : 0))
    await stores.close()
  }, 30_000)

  it('is refused before it is full, and what is there can still be read', async () => {
    const roomy = await openLmdbStores({ path })
    await appendMany(roomy.log, 's', 'run.r', 3)
    await roomy.close()
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
