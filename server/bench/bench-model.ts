// BenchModel: a model whose tokens say when they were made. `count=… rate=…` in the message. One ticker serves all
// streams in turn, as the bare server's publisher does: what is compared is the server, not the token source.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { ReplyError } from '@parley/protocol'
import type { Model, ModelCatalog } from '../model/model.ts'
import { stampedToken } from './bench-clock.ts'

type Controller = ReadableStreamDefaultController<LanguageModelV3StreamPart>

interface Source {
  readonly controller: Controller
  readonly count: number
  readonly interval: number
  due: number
  sent: number
}

/** A timing wheel: sources by the millisecond at which their next token is due, modulo its size. */
const wheel: Source[][] = Array.from({ length: 1_024 }, () => [])
let turned = 0

export function benchCatalog(): ModelCatalog {
  const fields = {
    specificationVersion: 'v3',
    provider: 'bench',
    modelId: 'bench',
    supportedUrls: {},
    doStream,
  } as unknown
  const model: Model = { id: 'bench', language: fields as LanguageModelV3, prefill: 'none' }
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
  const stream = new ReadableStream<LanguageModelV3StreamPart>({
    start(controller) {
      // Spread over one interval, whenever the streams began.
      put({ controller, count, interval, due: performance.now() + Math.random() * interval, sent: 0 })
    },
  })
  return { stream }
}

function put(source: Source): void {
  if (turned === 0) {
    turned = Math.floor(performance.now())
    setInterval(tick, 1)
  }
  wheel[Math.max(turned + 1, Math.ceil(source.due)) % wheel.length]?.push(source)
}

/** A source that was held back for long catches up, so that the offered load stays what it is. */
function tick(): void {
  const now = performance.now()
  for (; turned < Math.floor(now); turned += 1) {
    const at = (turned + 1) % wheel.length
    const due = wheel[at] as Source[]
    wheel[at] = []
    for (const source of due) emit(source, now)
  }
}

function emit(source: Source, now: number): void {
  for (let burst = 0; source.due <= now && burst < BURST && source.sent < source.count; burst += 1) {
    // Asked only of those who are late: it is not free.
    if (burst > 0 && (source.controller.desiredSize ?? 0) < -BACKLOG) break
    source.controller.enqueue({ type: 'text-delta', id: '0', delta: stampedToken() })
    source.sent += 1
    source.due += source.interval
  }
  if (source.sent < source.count) return put(source)
  source.controller.enqueue({ type: 'finish', usage: USAGE, finishReason: { unified: 'stop', raw: 'stop' } })
  source.controller.close()
}

const BURST = 16
const BACKLOG = 64

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
