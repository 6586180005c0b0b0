// ProviderModel: an AI SDK model as runs can rely on it: its streams are whole or fail, and it is not refused for a bound
// on its output that is larger than it knows.
import type { LanguageModelV3, LanguageModelV3CallOptions } from '@ai-sdk/provider'
import { WholeStream } from './whole-stream.ts'

export function providerModel(model: LanguageModelV3): LanguageModelV3 {
  return {
    specificationVersion: 'v3',
    provider: model.provider,
    modelId: model.modelId,
    supportedUrls: model.supportedUrls,
    doGenerate: (options) => model.doGenerate(bounded(options)),
    async doStream(options) {
      const result = await model.doStream(bounded(options))
      return { ...result, stream: new ReadableStream(new WholeStream(result.stream), { highWaterMark: 0 }) }
    },
  }
}

/** What today's models can all put out. */
const SAFE_OUTPUT_TOKENS = 4096

/**
 * Providers answer 400 to a bound beyond what the model can put out, and a model's own is not known here. A large one
 * is therefore not passed on: the run counts for itself, and closes the request when it has enough.
 */
function bounded(options: LanguageModelV3CallOptions): LanguageModelV3CallOptions {
  const { maxOutputTokens, ...others } = options
  return maxOutputTokens === undefined || maxOutputTokens <= SAFE_OUTPUT_TOKENS ? options : others
}
