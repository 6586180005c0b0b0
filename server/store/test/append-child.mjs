// A process that appends to a log until it is killed or fails. It writes a line to stdout for each acknowledged append.
// Arguments: the folder, the number of sessions, the limits as JSON, and padding in characters.
// It is plain JavaScript because it runs as a child process on the built store.

import { openLmdbStores } from '../../dist/store/lmdb/stores.js'
import { StorageError } from '../../dist/store/ports/errors.js'

const [path = '', sessions = '1', limits = '{}', padding = '0'] = process.argv.slice(2)
const ROLLUP_EVERY = 7

/** Resolves when the line is written. A synchronous write would fail if the pipe is full (EAGAIN). */
function report(line) {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(line)}\n`, resolve))
}

const { segmentBytes = 4_000_000, ...writeLimits } = JSON.parse(limits)
const stores = await openLmdbStores({ path, limits: writeLimits, segmentBytes })

async function appendForever(session) {
  let last
  for await (const batch of stores.log.read(session, `${stores.log.epoch}.0`)) last = batch.at(-1)
  let seq = await stores.log.last(session, 'run.r')
  let index = last?.event.type === 'run.output' ? last.event.index + 1 : 0
  for (;;) {
    const rollup = index % ROLLUP_EVERY === ROLLUP_EVERY - 1
    const event = { type: 'run.output', run: 'r', index, kind: 'text', text: 'x'.repeat(Number(padding)) }
    const entry = await stores.log.append(session, 'run.r', event, seq, { rollup: rollup && padding === '0' })
    await report({ session, index, seq: entry.seq, rollup: entry.rollup })
    seq = entry.seq
    index++
  }
}

/** Appends once more, after the parent has freed disk space. */
async function retry() {
  const seq = await stores.log.last('s0', 'run.r')
  const event = { type: 'run.output', run: 'r', index: -1, kind: 'text', text: 'y'.repeat(2000) }
  try {
    const entry = await stores.log.append('s0', 'run.r', event, seq)
    await report({ again: entry.seq })
  } catch (error) {
    await report({ again: String(error) })
  }
  process.exit()
}

try {
  await Promise.all(Array.from({ length: Number(sessions) }, (_, i) => appendForever(`s${i}`)))
} catch (error) {
  await report({ failed: error instanceof StorageError ? error.reason : String(error) })
  process.stdin.once('data', () => void retry())
}
