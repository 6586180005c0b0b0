// Profiles a server process by stage with V8's own tools: time from its sampling profiler, and allocated bytes from its
// heap sampler, including objects that were collected meanwhile.
import { type HeapProfiler, type Profiler, Session } from 'node:inspector/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stages } from './bench-message.ts'

/** Stages by the path of the built file; the first match counts. */
const STAGES: readonly (readonly [RegExp, string])[] = [
  [/\/bench\//, "the benchmark's model"],
  [/\/run\/model-call/, 'model stream'],
  [/\/run\//, "run: the driver's state"],
  [/\/session\//, "session's state"],
  [/\/store\//, 'log: compare, journal, memtable'],
  [/\/metric\//, 'metrics'],
  [/\/transports\/websocket\/|\/transports\/feed\/outbox-flusher/, 'socket (uWebSockets.js)'],
  [/\/transports\//, 'fan-out: feed, message, reader'],
  [/^node:/, 'Node'],
]

/** Native functions have no path. */
const NATIVE: ReadonlyMap<string, string> = new Map([
  ['(garbage collector)', 'garbage collection'],
  ['(idle)', 'idle'],
  // The profiler's own start.
  ['dispatch', 'idle'],
  ['send', 'socket (uWebSockets.js)'],
  ['cork', 'socket (uWebSockets.js)'],
  ['publish', 'socket (uWebSockets.js)'],
  ['writeBuffer', 'log: compare, journal, memtable'],
  ['join', 'log: compare, journal, memtable'],
])

function stageOf({ url, functionName }: { readonly url: string; readonly functionName: string }): string {
  const native = url === '' ? NATIVE.get(functionName) : undefined
  if (native !== undefined) return native
  return STAGES.find(([pattern]) => pattern.test(url))?.[1] ?? 'Node'
}

/** Microseconds of the main thread by stage, during the given time. */
export async function timeByStage(ms: number): Promise<Stages> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 250 })
  await session.post('Profiler.start')
  await sleep(ms)
  const { profile } = (await session.post('Profiler.stop')) as Profiler.StopReturnType
  session.disconnect()
  const stages = new Map(profile.nodes.map((node) => [node.id, stageOf(node.callFrame)]))
  const sums: Record<string, number> = {}
  for (const [at, node] of (profile.samples ?? []).entries()) {
    const stage = stages.get(node) ?? 'Node'
    sums[stage] = (sums[stage] ?? 0) + (profile.timeDeltas?.[at] ?? 0)
  }
  return sums
}

/** Allocated bytes by stage, during the given time. */
export async function bytesByStage(ms: number): Promise<Stages> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 16_384,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  await sleep(ms)
  const { profile } = (await session.post('HeapProfiler.stopSampling')) as HeapProfiler.StopSamplingReturnType
  session.disconnect()
  const sums: Record<string, number> = {}
  const add = (node: HeapProfiler.SamplingHeapProfileNode): void => {
    const stage = stageOf(node.callFrame)
    sums[stage] = (sums[stage] ?? 0) + node.selfSize
    for (const child of node.children) add(child)
  }
  add(profile.head)
  return sums
}
