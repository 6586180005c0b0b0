// A process that appends to a log until it is killed or cannot go on. It tells of each append only after it was
// acknowledged: one line on stdout, written at once. Arguments: the folder, appends in flight, and the limits as JSON.
import { writeSync } from 'node:fs'
import type { Entry } from '../entry.ts'
import { type LmdbStoresOptions, openLmdbStores } from '../lmdb-stores.ts'
import { StorageError } from '../log-error.ts'

const [path = '', lanes = '1', limits = '{}', padding = '0'] = process.argv.slice(2)
const ROLLUP_EVERY = 7

type Limits = NonNullable<LmdbStoresOptions['limits']> & { readonly segmentBytes?: number }

/** What a line says. */
export interface Acknowledged {
  readonly session: string
  readonly index: number
  readonly seq: number
  readonly rollup: boolean
}

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

const { segmentBytes = 4_000_000, ...bounds } = JSON.parse(limits) as Limits
const stores = await openLmdbStores({ path, limits: bounds, segmentBytes })

async function lane(session: string): Promise<void> {
  let last: Entry | undefined
  for await (const batch of stores.log.read(session, `${stores.log.epoch}.0`)) last = batch.at(-1)
  let seq = await stores.log.last(session, 'run.r')
  let index = last?.event.type === 'run.output' ? last.event.index + 1 : 0
  for (;;) {
    const rollup = index % ROLLUP_EVERY === ROLLUP_EVERY - 1
    const event = { type: 'run.output', run: 'r', index, kind: 'text', text: 'x'.repeat(Number(padding)) } as const
    const entry = await stores.log.append(session, 'run.r', event, seq, { rollup: rollup && padding === '0' })
    say({ session, index, seq: entry.seq, rollup: entry.rollup } satisfies Acknowledged)
    seq = entry.seq
    index++
  }
}

try {
  await Promise.all(Array.from({ length: Number(lanes) }, (_, i) => lane(`s${i}`)))
} catch (error) {
  say({ failed: error instanceof StorageError ? error.reason : String(error) })
  process.stdin.once('data', () => void retry())
}

/** Once more, when the parent says that there is room. */
async function retry(): Promise<void> {
  const seq = await stores.log.last('s0', 'run.r')
  const event = { type: 'run.output', run: 'r', index: -1, kind: 'text', text: 'y'.repeat(2000) } as const
  try {
    const entry = await stores.log.append('s0', 'run.r', event, seq)
    say({ again: entry.seq })
  } catch (error) {
    say({ again: String(error) })
  }
  process.exit()
}
