// Checks of exclusive ownership in a log: a run has one driver at a time, and a tool call one holder at a time and one
// result. Pure.
import type { LogEntries } from './history.ts'

/**
 * The drivers of a run follow each other: each raises the epoch by one and starts at the index after its predecessor's
 * last. A replaced driver appends nothing more.
 */
export function brokenDrivers(log: LogEntries): string[] {
  const runs = new Map<string, { epoch: number; next: number | undefined }>()
  const found: string[] = []
  for (const { seq, event } of log) {
    if (event.type !== 'run.started' && event.type !== 'run.output' && event.type !== 'run.snapshot') continue
    const known = runs.get(event.run)
    const run = known ?? { epoch: 0, next: undefined }
    runs.set(event.run, run)
    if (event.type === 'run.output') {
      // A merged output has the place of its last one, and perhaps no other reader received the others.
      const first = (event.count ?? 1) === 1 ? event.index : undefined
      if (first !== undefined && run.next !== undefined && first !== run.next) {
        found.push(`index ${first} of ${event.run} at ${seq}, expected ${run.next}: two drivers at once`)
      }
      run.next = event.index + (event.count ?? 1)
      continue
    }
    const { epoch = run.epoch } = event
    if (epoch < run.epoch) found.push(`${event.type} of ${event.run} at ${seq} has epoch ${epoch} after ${run.epoch}`)
    if (event.type === 'run.started') {
      // The first entry received of a run may be a compacted one, with the output of earlier drivers.
      if (known !== undefined && epoch !== run.epoch + 1) {
        found.push(`${event.run} was started with epoch ${epoch} at ${seq}, after ${run.epoch}`)
      }
      // A replay sends a continued run from its first index to readers without any of its entries.
      if (event.next === 0 && event.mode === 'continue') {
        run.epoch = epoch
        continue
      }
      if (run.next !== undefined && event.next !== run.next) {
        found.push(`${event.run} was started at index ${event.next} at ${seq}, expected ${run.next}`)
      }
    }
    run.epoch = epoch
    run.next = event.next
  }
  return found
}

interface CallSeen {
  run: string
  holder: { readonly connection: string; readonly until: number } | undefined
  results: number
}

/** A call has at most one result and one holder at a time. A completed run has a result for each of its calls. */
export function brokenCalls(log: LogEntries): string[] {
  const calls = new Map<string, CallSeen>()
  const epochs = new Map<string, number>()
  const found: string[] = []
  for (const { time, event } of log) {
    // Compacted entries repeat the epoch of the start that they replace.
    const { type } = event
    if (type === 'run.started' || type === 'run.snapshot' || type === 'run.ended') {
      epochs.set(event.run, Math.max(event.epoch ?? 0, epochs.get(event.run) ?? 0))
    }
    // Appended by a replaced driver: readers ignore it.
    if (event.type === 'tool.called' && (event.epoch ?? Infinity) < (epochs.get(event.run) ?? 0)) continue
    if (event.type === 'tool.called') {
      const results = calls.get(event.call)?.results ?? 0
      calls.set(event.call, { run: event.run, holder: undefined, results })
    }
    const call = 'call' in event ? calls.get(event.call) : undefined
    if (call === undefined) continue
    const held = call.holder !== undefined && call.holder.until > time ? call.holder : undefined
    if (event.type === 'tool.claimed') {
      if (held !== undefined && held.connection !== event.connection) {
        found.push(`${event.call} was claimed by ${event.connection} while ${held.connection} held it`)
      }
      call.holder = { connection: event.connection, until: event.until }
    } else if (event.type === 'tool.result') {
      call.results += 1
      if (call.results === 2) found.push(`${event.call} has two results`)
      if (held !== undefined && event.by !== held.connection && event.by !== 'server') {
        found.push(`${event.call} has its result from ${event.by} while ${held.connection} held it`)
      }
    }
  }
  const completed = new Set(
    log.flatMap(({ event }) => (event.type === 'run.ended' && event.reason === 'completed' ? [event.run] : [])),
  )
  for (const [id, call] of calls) {
    if (completed.has(call.run) && call.results === 0) found.push(`${id} of a completed run has no result`)
  }
  return found
}
