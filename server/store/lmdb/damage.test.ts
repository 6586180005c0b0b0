// Damage to the files of a data folder: either everything that was acknowledged is there, or the folder does not open,
// and the error says what to do. A damaged head of the newest journal file, or its deletion, lost all of its entries
// without a word. A truncated data.mdb, or foreign content in it, ended the process.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { collect, output } from '../contracts/session-log.contract.ts'
import { type LmdbStores, openLmdbStores } from './stores.ts'
import { checkTables } from './table-check.ts'

/** In memory where that is possible: hundreds of opened folders need no flushes. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const OPTIONS = { segmentBytes: 16 * 1024, reserveBytes: 0 }
const ENTRIES = 120
const PAGE = 4096
const REASON = /damaged|is missing|unreadable/

let folder: string
/** A data folder as a killed process left it. */
let pristine: string
let path: string
let acknowledged: string[]

const textsOf = async (stores: LmdbStores): Promise<string[]> => {
  const texts: string[] = []
  for (let session = 0; session < 3; session++) {
    for (const { json } of await collect(stores.log, `s${session}`, `${stores.log.epoch}.0`)) texts.push(json)
  }
  return texts
}

beforeAll(async () => {
  folder = mkdtempSync(join(SCRATCH, 'parley-damage-'))
  pristine = join(folder, 'pristine')
  path = join(folder, 'copy')
  const stores = await openLmdbStores({ ...OPTIONS, path: join(folder, 'used') })
  const last = [0, 0, 0]
  for (let i = 0; i < ENTRIES; i++) {
    const session = i % 3
    // Some chunks need pages of their own.
    const event = output(Math.floor(i / 3), 'x'.repeat(i % 10 === 0 ? 3_000 : 300))
    last[session] = (await stores.log.append(`s${session}`, 'run.r', event, last[session] as number)).seq
    if (i === ENTRIES / 3) await stores.log.checkpoint()
  }
  acknowledged = await textsOf(stores)
  cpSync(join(folder, 'used'), pristine, { recursive: true, filter: (file) => !file.endsWith('.sock') })
  await stores.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Opens a copy that `damage` has changed. @returns the error, or the entries that are there */
async function afterDamage(damage: () => void): Promise<string | string[]> {
  rmSync(path, { recursive: true, force: true })
  cpSync(pristine, path, { recursive: true })
  damage()
  let stores: LmdbStores
  try {
    stores = await openLmdbStores({ ...OPTIONS, path })
  } catch (error) {
    return (error as Error).message
  }
  const texts = await textsOf(stores)
  await stores.close()
  return texts
}

function expectAllOrReason(result: string | string[]): void {
  if (typeof result === 'string') expect(result).toMatch(REASON)
  else expect(result).toEqual(acknowledged)
}

type Kind = 'flip' | 'zero' | 'junk' | 'truncate' | 'delete'

/** @param at position in the file, 0 to 1 */
function damageFile(file: string, kind: Kind, at: number, length: number): void {
  if (kind === 'delete') return rmSync(file)
  const bytes = readFileSync(file)
  const from = Math.min(bytes.length - 1, Math.floor(at * bytes.length))
  if (kind === 'truncate') return truncateSync(file, from)
  const to = kind === 'flip' ? from + 1 : Math.min(bytes.length, from + length)
  for (let i = from; i < to; i++) {
    bytes[i] = kind === 'zero' ? 0 : kind === 'flip' ? (bytes[i] as number) ^ 0xff : (i * 131 + 7) & 0xff
  }
  writeFileSync(file, bytes)
}

const kinds = fc.constantFrom<Kind>('flip', 'zero', 'junk', 'truncate', 'delete')

describe('a damaged data folder', () => {
  it('opens with everything if nothing is damaged', async () => {
    expect(await afterDamage(() => undefined)).toEqual(acknowledged)
  })

  it('opens with everything, or says what is wrong, wherever its journal is damaged', async () => {
    const files = readdirSync(join(pristine, 'journal'))
    expect(files.length).toBeGreaterThan(3)
    // The heads, where a few bytes decide about the whole file, and any other place.
    const place = fc.oneof(fc.double({ min: 0, max: 0.004, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        kinds,
        place,
        fc.integer({ min: 1, max: 4_000 }),
        async (...damage) => {
          const [file, kind, at, length] = damage
          expectAllOrReason(await afterDamage(() => damageFile(join(path, 'journal', file), kind, at, length)))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('says what is wrong if a page of its tables is foreign or cut off', async () => {
    const pages = Math.floor(statSync(join(pristine, 'data.mdb')).size / PAGE)
    const seen = new Set<string>()
    for (let page = 0; page <= pages; page++) {
      for (const kind of ['junk', 'truncate'] as const) {
        const result = await afterDamage(() => damageFile(join(path, 'data.mdb'), kind, page / pages, PAGE)).catch(
          // The later pages of a large value have no head, so only its reader notices.
          (error: Error) => `unreadable value: ${error.message}`,
        )
        if (typeof result !== 'string') continue
        expect(result).toMatch(REASON)
        seen.add(result.replaceAll(/[0-9]+/g, 'N').replace(path, ''))
      }
    }
    expect(seen.size).toBeGreaterThan(4)
  })

  it('notices that its tables are cut off in pages that it has no time to read', () => {
    const READS = 2
    const file = join(folder, 'cut.mdb')
    cpSync(join(pristine, 'data.mdb'), file)
    const named = new Set<string>()
    for (let pages = statSync(file).size / PAGE; pages > 2; pages--) {
      truncateSync(file, pages * PAGE)
      let looks = 0
      const clock = vi.spyOn(performance, 'now').mockImplementation(() => (looks++ <= READS ? 0 : 60_000))
      try {
        checkTables(file)
      } catch (error) {
        named.add(/page \d+ is beyond the end/.exec((error as Error).message)?.[0] ?? 'another error')
      } finally {
        clock.mockRestore()
      }
    }
    expect(named).not.toContain('another error')
    expect(named.size).toBeGreaterThan(READS)
  })

  it('does not begin an empty log if its tables are gone', async () => {
    for (const damage of [() => rmSync(join(path, 'data.mdb')), () => truncateSync(join(path, 'data.mdb'), 0)]) {
      expect(await afterDamage(damage)).toMatch(/data\.mdb is missing or empty, although there is a journal/)
    }
    expect(existsSync(join(path, 'journal'))).toBe(true)
  })

  it('opens with everything if only files without data are damaged', async () => {
    for (const file of ['lock.mdb', 'journal/acknowledged']) {
      for (const kind of ['junk', 'truncate', 'delete'] as const) {
        expect(await afterDamage(() => damageFile(join(path, file), kind, 0, 64))).toEqual(acknowledged)
      }
    }
  })
})
