// Replay over the real log, after compaction removed entries that the reader never received.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import { replay } from './replay.ts'

let path: string
let stores: LmdbStores

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'parley-replay-'))
  stores = await openLmdbStores({ path })
})
afterEach(async () => {
  await stores.close()
  rmSync(path, { recursive: true, force: true })
})

function message(id: string): Event {
  return { type: 'message', id, role: 'user', author: 'ada', content: [], policy: 'queue', run: `run_${id}` }
}

async function replayed(after: string | undefined, batchEntries: number): Promise<{ type: string; seq: number }[]> {
  const entries: { type: string; seq: number }[] = []
  const { batches } = await replay(stores, 's', after, { batchEntries })
  for await (const batch of batches) {
    for (const { seq, json } of batch.entries) entries.push({ seq, type: (JSON.parse(json) as Event).type })
  }
  return entries
}

describe('a replay', () => {
  // The end was compacted after the next message, so it follows that message and replaces the first end. The replay
  // assumed that a reader at the message had received the first end, so the run stayed "streaming" for that reader.
  it.each([1, 2, 100])(
    'includes an end that compaction moved behind a later message, in batches of %d',
    async (batchEntries) => {
      const { log } = stores
      const usage = { inputTokens: 0, outputTokens: 0 }
      const end: Event = { type: 'run.ended', run: 'run_1', reason: 'cancelled', usage, next: 0 }
      await log.append('s', 'in.1', message('1'), 0)
      const { seq } = await log.append('s', 'run.run_1', end, 0)
      await log.append('s', 'in.2', message('2'), 0)
      await log.append('s', 'run.run_1', { ...end, output: [], compacted: true, at: seq }, seq, { rollup: true })
      const all = await replayed(undefined, batchEntries)
      expect(all.map((entry) => entry.type)).toEqual(['message', 'message', 'run.ended'])
      const rest = await replayed(`${log.epoch}.${all[1]?.seq}`, batchEntries)
      expect(rest.map((entry) => entry.type)).toEqual(['run.ended'])
    },
  )
})
