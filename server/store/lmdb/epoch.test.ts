// A data folder's epochs: what a new epoch invalidates, and what stays valid.
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatCursor } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { collect, output } from '../contracts/session-log.contract.ts'
import { CursorLost } from '../ports/errors.ts'
import { DataFolderInUse } from './data-folder-lock.ts'
import { renewEpoch } from './epoch.ts'
import { openLmdbStores } from './stores.ts'

let path: string
let copy: string
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'parley-epoch-'))
  copy = join(path, 'copy')
})
afterEach(() => {
  rmSync(path, { recursive: true, force: true })
})

/** Creates a folder with a session of three entries, the first two compacted. @returns the epoch */
async function write(folder: string): Promise<string> {
  const { log, transcripts, close } = await openLmdbStores({ path: folder })
  const entries = []
  for (let i = 0; i < 3; i += 1) entries.push(await log.append('s', `in.${i}`, output(i), 0))
  const cursor = formatCursor(log.epoch, entries[1]!.seq)
  await transcripts.save('s', { cursor, sealed: 0, entries: [], commands: [] }, 0)
  await close()
  return log.epoch
}

describe('a new epoch', () => {
  it('rejects cursors of the previous epoch, because they may point to entries that the copy lacks', async () => {
    const data = join(path, 'data')
    const epoch = await write(data)
    cpSync(data, copy, { recursive: true })
    const original = await openLmdbStores({ path: data })
    const lost = await original.log.append('s', 'in.lost', output(9), 0)
    await original.close()
    expect(await renewEpoch(copy)).toEqual({ before: epoch, after: expect.not.stringMatching(epoch) })

    const restored = await openLmdbStores({ path: copy })
    const other = await restored.log.append('s', 'in.other', output(8), 0)
    expect(other.seq).toBe(lost.seq)
    const foreign = new CursorLost('foreign')
    await expect(collect(restored.log, 's', formatCursor(epoch, lost.seq))).rejects.toEqual(foreign)
    await restored.close()
  })

  it('keeps every entry, and the effect of each command', async () => {
    await write(path)
    const { after } = await renewEpoch(path)
    const { log, close } = await openLmdbStores({ path })
    expect(log.epoch).toBe(after)
    expect(await collect(log, 's', formatCursor(after, 0))).toHaveLength(3)
    expect(await log.last('s', 'in.1')).toBe(2)
    await expect(log.append('s', 'in.1', output(1), 0)).rejects.toMatchObject({ last: 2 })
    await close()
  })

  it('keeps transcripts valid, no matter how often the epoch is renewed', async () => {
    await write(path)
    await renewEpoch(path)
    await renewEpoch(path)
    const { log, transcripts, close } = await openLmdbStores({ path })
    const transcript = await transcripts.load('s')
    expect(transcript?.cursor).toBe(formatCursor(log.epoch, 2))
    expect(await collect(log, 's', transcript?.cursor ?? '')).toHaveLength(1)
    await close()
  })

  it('lets retention remove only entries that a transcript of a past epoch covers', async () => {
    await write(path)
    const { after } = await renewEpoch(path)
    const late = () => Date.now() + 60_000
    const { log, close } = await openLmdbStores({ path, now: late, retention: { maxAgeMs: 1_000 } })
    await log.checkpoint()
    await log.sweep()
    await expect(collect(log, 's', formatCursor(after, 0))).rejects.toEqual(new CursorLost('trimmed'))
    expect(await collect(log, 's', formatCursor(after, 2))).toHaveLength(1)
    await close()
  })

  it('is refused while a server uses the folder, and for a folder without a log', async () => {
    const stores = await openLmdbStores({ path })
    await expect(renewEpoch(path)).rejects.toThrow(DataFolderInUse)
    await stores.close()
    await expect(renewEpoch(copy)).rejects.toThrow(`${copy} contains no log`)
    expect(readdirSync(path)).not.toContain('copy')
  })
})
