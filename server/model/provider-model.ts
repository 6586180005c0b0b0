// ProviderModel: wraps an AI SDK model. Its streams are complete or fail, and an output limit beyond the model's own does not
// make the provider refuse the request.
import type { LanguageModelV3, LanguageModelV3CallOptions } from '@ai-sdk/provider'
import { withMarkedNumbers } from '@parley/protocol'
import { ProviderStream } from './provider-stream.ts'
import { ThinkTags } from './think-tags.ts'

/** @param thinks whether the model writes its reasoning as `<think>…</think>` in the answer */
export function providerModel(model: LanguageModelV3, thinks: boolean): LanguageModelV3 {
  return {
    specificationVersion: 'v3',
    provider: model.provider,
    modelId: model.modelId,
    supportedUrls: model.supportedUrls,
    doGenerate: (options) => model.doGenerate(prepared(options)),
    async doStream(options) {
      const result = await model.doStream(prepared(options))
      const parts = thinks ? result.stream.pipeThrough(new TransformStream(new ThinkTags())) : result.stream
      return { ...result, stream: new ReadableStream(new ProviderStream(parts), { highWaterMark: 0 }) }
    },
  }
}

/** Exact numbers are marked, because the packages know only JavaScript's. `answerFetch` restores them in the request. */
function prepared(options: LanguageModelV3CallOptions): LanguageModelV3CallOptions {
  return withMarkedNumbers(withSafeLimit(options))
}

/** Every current model supports this many. */
const SAFE_OUTPUT_TOKENS = 4096

/**
 * Providers answer 400 to an output limit beyond the model's own, which is unknown here. A large limit is therefore not passed
 * on: the run counts tokens and aborts the request at its limit.
 */
function withSafeLimit(options: LanguageModelV3CallOptions): LanguageModelV3CallOptions {
  const { maxOutputTokens, ...others } = options
  return maxOutputTokens === undefined || maxOutputTokens <= SAFE_OUTPUT_TOKENS ? options : others
}
