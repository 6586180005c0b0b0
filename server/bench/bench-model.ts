// BenchModel: a model whose tokens say when they were made. `count=… rate=…` in the message; all streams share
// one clock, so that what is measured is the server and not two thousand timers.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { ReplyError } from '@parley/protocol'
import type { Model, ModelCatalog } from '../model/model.ts'
import { PaceClock } from '../model/pace-clock.ts'
import { stampedToken } from './bench-clock.ts'

const clock = new PaceClock()

export function benchCatalog(): ModelCatalog {
  const language = {
    specificationVersion: 'v3',
    provider: 'bench',
    modelId: 'bench',
    supportedUrls: {},
    doStream,
  } as unknown
  const model: Model = { id: 'bench', language: language as LanguageModelV3, prefill: 'none' }
  return {
    defaultId: 'bench',
    ids: ['bench'],
    get(id = 'bench') {
      if (id !== 'bench') throw new ReplyError('model_not_allowed')
      return model
    },
  }
}

async function doStream({ prompt, abortSignal }: LanguageModelV3CallOptions) {
  const last = prompt.at(-1)
  const text = last?.role === 'user' && last.content[0]?.type === 'text' ? last.content[0].text : ''
  const number = (name: string, otherwise: number): number =>
    Number(new RegExp(`${name}=([\\d.]+)`).exec(text)?.[1] ?? otherwise)
  const count = number('count', 100)
  const interval = 1_000 / number('rate', 10)
  let sent = 0
  let due = performance.now() + Math.random() * interval
  const stream = new ReadableStream<LanguageModelV3StreamPart>({
    pull(controller) {
      return new Promise<void>((resolve) => {
        const sleeper = {
          due: 0,
          place: -1,
          wake: () => {
            if (abortSignal?.aborted === true) {
              controller.error(abortSignal.reason)
            } else if (sent === count) {
              controller.enqueue({ type: 'finish', usage: USAGE, finishReason: { unified: 'stop', raw: 'stop' } })
              controller.close()
            } else {
              // A stream that was held back catches up: the offered load stays what it is.
              do {
                controller.enqueue({ type: 'text-delta', id: '0', delta: stampedToken() })
                sent += 1
                due += interval
              } while (due < performance.now() && sent < count && (controller.desiredSize ?? 0) > -64)
            }
            resolve()
          },
        }
        clock.at(due, sleeper)
      })
    },
  })
  return { stream }
}

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
