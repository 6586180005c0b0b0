// ProviderModel: wraps an AI SDK model. Its streams are complete or fail, an output limit beyond the model's own does not make the
// provider refuse the request, and neither do marks that the provider does not take, or takes no longer.
import {
  APICallError,
  type LanguageModelV3,
  type LanguageModelV3CallOptions,
  type LanguageModelV3StreamResult,
} from '@ai-sdk/provider'
import { withMarkedNumbers } from '@parley/protocol'
import { brokenText, continuing, type Dialect } from './continuation.ts'
import { withoutMarks } from './provider-marks.ts'
import { ProviderStream } from './provider-stream.ts'
import { SeamParts } from './seam-filter.ts'
import { type Thinking, ThinkTags } from './think-tags.ts'

export interface ProviderModelOptions {
  /** How the model writes its reasoning in the answer, if it does. */
  readonly thinking: Thinking | undefined
  /** How the provider continues an answer that broke off. */
  readonly dialect?: Dialect
  /** Changes the options of each call as the provider needs them. */
  readonly adapt?: (options: LanguageModelV3CallOptions) => LanguageModelV3CallOptions
}

export function providerModel(
  model: LanguageModelV3,
  { thinking, dialect = 'exact', adapt = (options) => options }: ProviderModelOptions,
): LanguageModelV3 {
  return {
    specificationVersion: 'v3',
    provider: model.provider,
    modelId: model.modelId,
    supportedUrls: model.supportedUrls,
    doGenerate: (options) => model.doGenerate(adapt(prepared(options))),
    async doStream(options) {
      const result = await streamed(model, continuing(prepared(options), dialect), adapt)
      const broken = dialect === 'ask' ? brokenText(options) : undefined
      let parts = result.stream
      if (thinking !== undefined) parts = parts.pipeThrough(new TransformStream(new ThinkTags(thinking)))
      if (broken !== undefined) parts = parts.pipeThrough(new TransformStream(new SeamParts(broken)))
      return { ...result, stream: new ReadableStream(new ProviderStream(parts), { highWaterMark: 0 }) }
    },
  }
}

/** Exact numbers are marked, because the packages know only JavaScript's. `answerFetch` restores them in the request. */
function prepared(options: LanguageModelV3CallOptions): LanguageModelV3CallOptions {
  return withMarkedNumbers(withSafeLimit(options))
}

/**
 * A provider refuses marks of another account or region, and some that are old. An answer without them is worse than one with them,
 * but better than none in all later turns. So the request is repeated once without marks.
 */
async function streamed(
  model: LanguageModelV3,
  options: LanguageModelV3CallOptions,
  adapt: (options: LanguageModelV3CallOptions) => LanguageModelV3CallOptions,
): Promise<LanguageModelV3StreamResult> {
  try {
    return await model.doStream(adapt(options))
  } catch (error) {
    const prompt = refusesMarks(error) ? withoutMarks(options.prompt) : undefined
    if (prompt === undefined) throw error
    return model.doStream(adapt({ ...options, prompt }))
  }
}

function refusesMarks(error: unknown): boolean {
  if (!APICallError.isInstance(error) || error.statusCode !== 400) return false
  return /signature|encrypted|thinking|reasoning/i.test(error.responseBody ?? error.message)
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
