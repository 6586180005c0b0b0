// BenchModel: a model whose tokens contain their creation time; `count=… rate=…` in the message. One timer serves all
// streams, as in the publisher of the bare server, so that both token sources cost the same.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { ReplyError } from '@parley/protocol'
import type { Model, ModelCatalog } from '@parley/server/internal/model/model'
import { stampedToken } from './bench-clock.ts'

type Part = LanguageModelV3StreamPart
type Reading = Awaited<ReturnType<ReadableStreamDefaultReader<Part>['read']>>

/** The receiver of a source's parts. */
interface Sink {
  /** The number of unread parts. */
  readonly waiting: number
  put(part: Part): void
  end(): void
}

interface Source {
  readonly sink: Sink
  readonly count: number
  readonly interval: number
  due: number
  sent: number
  /** The next source in the same slot. */
  after: Source | undefined
}

/** A timing wheel: a linked list of sources for each millisecond, modulo its size, in which a token is due. */
const wheel: (Source | undefined)[] = new Array<Source | undefined>(1_024).fill(undefined)
let position = 0

export function benchCatalog(): ModelCatalog {
  const fields = {
    specificationVersion: 'v3',
    provider: 'bench',
    modelId: 'bench',
    supportedUrls: {},
    doStream,
  } as unknown
  const model: Model = { id: 'bench', language: fields as LanguageModelV3, prefill: 'none', contextTokens: 100_000 }
  return {
    defaultId: 'bench',
    ids: ['bench'],
    get(id = 'bench') {
      if (id !== 'bench') throw new ReplyError('model_not_allowed')
      return model
    },
  }
}

async function doStream({ prompt }: LanguageModelV3CallOptions) {
  const last = prompt.at(-1)
  const text = last?.role === 'user' && last.content[0]?.type === 'text' ? last.content[0].text : ''
  const number = (name: string, otherwise: number): number =>
    Number(new RegExp(`${name}=([\\d.]+)`).exec(text)?.[1] ?? otherwise)
  const count = number('count', 100)
  const interval = 1_000 / number('rate', 10)
  const [stream, sink] = queueStream()
  // A random phase spreads the tokens over one interval, even if all streams begin together.
  put({ sink, count, interval, due: performance.now() + Math.random() * interval, sent: 0, after: undefined })
  return { stream }
}

/** Only the methods that the server uses: Node's ReadableStream costs about 3 µs per token. */
function queueStream(): [ReadableStream<Part>, Sink] {
  const queue: Part[] = []
  let reading: ((result: Reading) => void) | undefined
  let ended = false
  const next = (resolve: (result: Reading) => void): void => {
    const value = queue.shift()
    if (value !== undefined) resolve({ done: false, value })
    else if (ended) resolve({ done: true, value: undefined })
    else reading = resolve
  }
  const settle = (): void => {
    const resolve = reading
    reading = undefined
    if (resolve !== undefined) next(resolve)
  }
  const sink: Sink = {
    get waiting() {
      return queue.length
    },
    put: (value) => {
      const resolve = reading
      reading = undefined
      if (resolve === undefined) queue.push(value)
      else resolve({ done: false, value })
    },
    end: () => {
      ended = true
      settle()
    },
  }
  const reader = {
    read: () => new Promise<Reading>(next),
    cancel: async () => sink.end(),
  }
  return [{ getReader: () => reader } as unknown as ReadableStream<Part>, sink]
}

function put(source: Source): void {
  if (position === 0) {
    position = Math.floor(performance.now())
    setInterval(tick, 1)
  }
  const at = Math.max(position + 1, Math.ceil(source.due)) % wheel.length
  source.after = wheel[at]
  wheel[at] = source
}

/** A delayed source catches up, so that the offered load stays constant. */
function tick(): void {
  const now = performance.now()
  for (; position < Math.floor(now); position += 1) {
    const at = (position + 1) % wheel.length
    let source = wheel[at]
    wheel[at] = undefined
    while (source !== undefined) {
      const { after } = source
      emit(source, now)
      source = after
    }
  }
}

function emit(source: Source, now: number): void {
  for (let burst = 0; source.due <= now && burst < BURST && source.sent < source.count; burst += 1) {
    // Only late sources are checked, because the check costs time.
    if (burst > 0 && source.sink.waiting > BACKLOG) break
    source.sink.put({ type: 'text-delta', id: '0', delta: stampedToken() })
    source.sent += 1
    source.due += source.interval
  }
  if (source.sent < source.count) return put(source)
  source.sink.put({ type: 'finish', usage: USAGE, finishReason: { unified: 'stop', raw: 'stop' } })
  source.sink.end()
}

const BURST = 16
const BACKLOG = 64

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
