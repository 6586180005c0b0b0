// The journal's files: appended records are replayed, wherever writing stopped, and damage is detected.
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Journal } from './journal.ts'
import { RECORD_HEADER, SEGMENT_HEADER } from './journal-record.ts'

const SEGMENT_BYTES = 2_000

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-journal-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

interface Read {
  readonly first: number
  readonly last: number
  readonly text: string
}

async function open(checkpointed = 0): Promise<{ journal: Journal; read: Read[] }> {
  const read: Read[] = []
  const journal = await Journal.open(
    { folder, segmentBytes: SEGMENT_BYTES },
    checkpointed,
    ({ first, last, payload }) => read.push({ first, last, text: payload.toString() }),
  )
  return { journal, read }
}

/** Appends a record with one entry for each text. */
async function fill(journal: Journal, texts: readonly string[], first = 1): Promise<Read[]> {
  const written: Read[] = []
  for (const [at, text] of texts.entries()) {
    await journal.append(first + at, 1, text)
    written.push({ first: first + at, last: first + at, text })
  }
  return written
}

const texts = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, i) => `${i}`.padEnd(length, 'é'))
const segments = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.segment'))
    .sort()
/** After a power loss, the mark of what was acknowledged may be older. */
const losePower = (): void => rmSync(join(folder, 'acknowledged'))

describe('the journal', () => {
  it('replays appended records from many segments, and continues at their end', async () => {
    const { journal } = await open()
    const written = await fill(journal, texts(40, 150))
    await journal.close()
    const again = await open()
    expect(again.read).toEqual(written)
    const more = await fill(again.journal, texts(40, 90), 41)
    await again.journal.close()
    const last = await open()
    expect(last.read).toEqual([...written, ...more])
    await last.journal.close()
  })

  it('accepts a write that completed while the process was paused', async () => {
    const broken: Error[] = []
    const options = {
      folder,
      segmentBytes: SEGMENT_BYTES,
      writeTimeoutMs: 100,
      onBroken: (error: Error) => broken.push(error),
    }
    const journal = await Journal.open(options, 0, () => undefined)
    const writing = journal.append(1, 1, 'one')
    const until = performance.now() + 400
    while (performance.now() < until);
    await writing
    await journal.append(2, 1, 'two')
    await journal.close()
    expect(broken).toEqual([])
    expect((await open()).read.map(({ text }) => text)).toEqual(['one', 'two'])
  })

  it('skips records that a checkpoint has, and reuses their files', async () => {
    const { journal } = await open()
    const written: Read[] = []
    for (let round = 0; round < 30; round++) {
      written.push(...(await fill(journal, texts(5, 150), round * 5 + 1)))
      if (round > 0) journal.release((round - 1) * 5)
    }
    expect(segments().length).toBeLessThanOrEqual(6)
    await journal.close()
    const { journal: again, read } = await open(140)
    expect(read).toEqual(written.slice(140))
    await again.close()
  })

  it('stores a record that is larger than a segment', async () => {
    const { journal } = await open()
    const written = await fill(journal, ['small', 'x'.repeat(3 * SEGMENT_BYTES), 'small again'])
    journal.release(1)
    await journal.close()
    const { journal: again, read } = await open(1)
    expect(read).toEqual(written.slice(1))
    again.release(3)
    await again.close()
  })

  it('ends before a record that is torn at any byte, and overwrites it', async () => {
    const { journal } = await open()
    const written = await fill(journal, ['one', 'two', 'three and more'])
    await journal.close()
    const [name = ''] = segments()
    const whole = readFileSync(join(folder, name))
    losePower()
    const from = SEGMENT_HEADER + 2 * RECORD_HEADER + 6
    const to = from + RECORD_HEADER + 'three and more'.length
    for (let cut = from; cut < to; cut++) {
      const torn = Buffer.from(whole)
      torn.fill(0, cut, to)
      writeFileSync(join(folder, name), torn)
      const { journal: again, read } = await open()
      expect(read).toEqual(written.slice(0, 2))
      await again.append(3, 1, 'in its place')
      await again.close()
      const last = await open()
      expect(last.read.at(-1)).toEqual({ first: 3, last: 3, text: 'in its place' })
      await last.journal.close()
      losePower()
    }
  })

  it('refuses to open if a damaged record is followed by others, in the same or a later segment', async () => {
    const { journal } = await open()
    await fill(journal, texts(30, 100))
    await journal.close()
    for (const name of segments()) {
      const path = join(folder, name)
      const whole = readFileSync(path)
      const damaged = Buffer.from(whole)
      const at = SEGMENT_HEADER + RECORD_HEADER + 5
      if (damaged[at] === 0) continue
      damaged[at] = 0
      writeFileSync(path, damaged)
      await expect(open()).rejects.toThrow(/the journal is damaged: entry \d+ is unreadable/)
      // Damage does not matter if a checkpoint has everything.
      const { journal: again } = await open(30)
      await again.close()
      writeFileSync(path, whole)
    }
  })

  it('refuses to open if a segment in the middle is missing', async () => {
    const { journal } = await open()
    await fill(journal, texts(30, 100))
    await journal.close()
    rmSync(join(folder, segments()[1] ?? ''))
    await expect(open()).rejects.toThrow(/damaged/)
  })

  it('refuses to open if an acknowledged record at its end is damaged, or its newest file is missing', async () => {
    const stored: number[] = []
    const options = { folder, segmentBytes: SEGMENT_BYTES }
    const remember = async (number: number): Promise<void> => void stored.push(number)
    const journal = await Journal.open({ ...options, onSegment: remember }, 0, () => undefined)
    await fill(journal, texts(30, 100))
    await journal.close()
    const newest = stored.at(-1) ?? 0
    expect(stored).toEqual(Array.from({ length: newest }, (_, i) => i + 1))
    const { path, bytes } = newestSegment()
    const whole = readFileSync(path)
    const reopen = () => Journal.open({ ...options, newest }, 0, () => undefined)
    truncateSync(path, bytes - 1)
    await expect(reopen()).rejects.toThrow(/entries \d+ to 30 were acknowledged, but are unreadable/)
    losePower()
    // Without the mark, this may be a write that the power loss interrupted.
    await (await reopen()).close()
    rmSync(path)
    await expect(reopen()).rejects.toThrow(/newest file, number \d+, is missing/)
    writeFileSync(path, whole.fill(0, 0, 4))
    await expect(reopen()).rejects.toThrow(/the head of \d+\.segment is unreadable/)
  })

  it('ignores files whose creation was not finished', async () => {
    const { journal } = await open()
    const written = await fill(journal, ['one'])
    await journal.close()
    writeFileSync(join(folder, '000900.segment'), Buffer.alloc(100))
    writeFileSync(join(folder, '000901.segment'), '')
    const { journal: again, read } = await open()
    expect(read).toEqual(written)
    expect(segments()).not.toContain('000900.segment')
    await again.close()
  })

  it('detects whether a folder contains a journal', async () => {
    expect(Journal.exists(join(folder, 'none'))).toBe(false)
    expect(Journal.exists(folder)).toBe(false)
    const { journal } = await open()
    await journal.close()
    expect(Journal.exists(folder)).toBe(true)
  })

  it('replays a prefix of the appended records, wherever the newest file is cut off after its head', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 25 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (lengths, part) => {
          rmSync(folder, { recursive: true, force: true })
          const { journal } = await open()
          const written = await fill(
            journal,
            lengths.map((length, i) => `${i}`.padEnd(length, 'y')),
          )
          await journal.close()
          losePower()
          const newest = newestSegment()
          // Records follow only a head that is on disk, so a cut head is damage (damage.test.ts).
          truncateSync(newest.path, SEGMENT_HEADER + Math.floor(part * (newest.bytes - SEGMENT_HEADER)))
          const { journal: again, read } = await open()
          expect(read).toEqual(written.slice(0, read.length))
          expect(read.length).toBeGreaterThanOrEqual(written.length - newest.records)
          await again.close()
        },
      ),
      { numRuns: 60 },
    )
  })
})

/** The segment with the highest number, up to its last non-zero byte. */
function newestSegment(): { path: string; bytes: number; records: number } {
  const used = segments().flatMap((name) => {
    const path = join(folder, name)
    const bytes = readFileSync(path)
    return bytes.length >= SEGMENT_HEADER && bytes.readUInt32LE(0) !== 0
      ? [{ path, number: bytes.readUInt32LE(4), bytes }]
      : []
  })
  used.sort((a, b) => b.number - a.number)
  const newest = used[0]
  if (newest === undefined) throw new Error('nothing was written')
  let end = newest.bytes.length
  while (end > 0 && newest.bytes[end - 1] === 0) end--
  const records = newest.bytes.toString('latin1').split('PjR1').length - 1
  return { path: newest.path, bytes: end, records }
}
