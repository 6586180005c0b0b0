// Providers: the AI SDK packages, each created with its first model. They do not retry: the run decides about retries.
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import type { LanguageModelV3 } from '@ai-sdk/provider'
import { type AnswerDialect, answerFetch } from './answer-fetch.ts'
import { ChatDialect } from './chat-dialect.ts'
import { contextTokens } from './context-window.ts'
import type { Dialect } from './continuation.ts'
import type { Model, Prefill } from './model.ts'
import type { ModelConfig, ProviderName, ProviderSettings } from './model-config.ts'
import { AnthropicDialect, GoogleDialect, ResponsesDialect } from './named-dialects.ts'
import { withSignatures } from './provider-marks.ts'
import { type ProviderModelOptions, providerModel } from './provider-model.ts'
import type { Thinking } from './think-tags.ts'

export interface Providers {
  create(id: string, provider: ProviderName, model: string): Model
}

type MakeModel = (model: string) => LanguageModelV3

const DIALECTS: Readonly<Record<ProviderName, () => AnswerDialect>> = {
  openai: () => new ResponsesDialect(),
  anthropic: () => new AnthropicDialect(),
  google: () => new GoogleDialect(),
  compatible: () => new ChatDialect(),
}

/** @param relayed whether `fetch` sends requests through a relay */
export function createProviders(
  config: ModelConfig,
  fetch: typeof globalThis.fetch = globalThis.fetch,
  relayed = false,
): Providers {
  const made = new Map<ProviderName, MakeModel>()
  return {
    create(id, provider, model) {
      let make = made.get(provider)
      if (make === undefined) {
        make = MAKERS[provider](config[provider] ?? {}, answerFetch(fetch, DIALECTS[provider]), config)
        made.set(provider, make)
      }
      const dialect = dialectOf(config, id)
      const options = { thinking: thinkingOf(config, id), ...(dialect && { dialect }), ...adaptation(provider, model) }
      return {
        id,
        language: providerModel(make(model), options),
        prefill: dialect === undefined ? prefillOf(provider, model) : PREFILLS[dialect],
        secrets: secretsOf(config[provider] ?? {}),
        contextTokens: contextTokens(id, config.contextTokens),
        ...(relayed ? { relayed: true as const } : {}),
      }
    },
  }
}

const MAKERS: Readonly<
  Record<ProviderName, (settings: ProviderSettings, fetch: typeof globalThis.fetch, config: ModelConfig) => MakeModel>
> = {
  openai: (settings, fetch) => createOpenAI(asOptions(settings, fetch)),
  anthropic: (settings, fetch) => createAnthropic(asOptions(settings, fetch)),
  google: (settings, fetch) => createGoogleGenerativeAI(asOptions(settings, fetch)),
  compatible: (settings, fetch, config) =>
    createOpenAICompatible({
      name: 'compatible',
      includeUsage: true,
      // Otherwise the package sends `json_object` without the schema.
      supportsStructuredOutputs: true,
      transformRequestBody: (body) => withContent(body, config),
      ...asOptions(settings, fetch),
      baseURL: settings.url ?? '',
    }),
}

const PREFILLS: Readonly<Record<Dialect, Prefill>> = {
  none: 'none',
  exact: 'tail',
  continue_final_message: 'tail',
  prefix: 'tail',
  partial: 'tail',
  ask: 'asked',
}

/** @returns undefined if nothing is configured for the model */
function dialectOf({ dialects }: ModelConfig, id: string): Dialect | undefined {
  return dialects?.get(id) ?? dialects?.get(`${id.slice(0, id.indexOf(':'))}:*`)
}

function thinkingOf({ thinkModels, thinkOpenedModels }: ModelConfig, id: string): Thinking | undefined {
  if (contains(thinkOpenedModels, id)) return 'opened'
  return contains(thinkModels, id) ? 'tagged' : undefined
}

function secretsOf({ key, url }: ProviderSettings): string[] {
  const { host, hostname, username, password } = new URL(url ?? 'http://unset')
  return [key, host, hostname, username, password].filter((text): text is string => text !== undefined)
}

/**
 * The package sends `content: null` beside tool calls. llama-cpp-python 0.3 answers 500 to that, and llama.cpp of May 2025
 * refuses it. Nearly all servers take an empty text. Gemini's refuses that, as its users report, and takes null.
 */
function withContent(body: Record<string, unknown>, config: ModelConfig): Record<string, unknown> {
  const { model, messages } = body
  if (/gemini/i.test(String(model)) || contains(config.nullContentModels, `compatible:${model}`)) return body
  const filled = (messages as { content?: unknown }[]).map((message) =>
    message.content === null ? { ...message, content: '' } : message,
  )
  return { ...body, messages: filled }
}

/** @param id of a model, with its provider */
function contains(ids: readonly string[] | undefined, id: string): boolean {
  return ids?.some((name) => name === id || name === `${id.slice(0, id.indexOf(':'))}:*`) ?? false
}

function adaptation(provider: ProviderName, model: string): Pick<ProviderModelOptions, 'adapt'> {
  // Without storage, OpenAI sends the reasoning itself, encrypted, instead of an id that it forgets after 30 days.
  if (provider === 'openai') {
    return {
      adapt: (call) => ({
        ...call,
        providerOptions: { ...call.providerOptions, openai: { ...call.providerOptions?.openai, store: false } },
      }),
    }
  }
  if (provider === 'compatible' && /gemini-([3-9]|\d\d)/i.test(model)) {
    return { adapt: (call) => ({ ...call, prompt: withSignatures(call.prompt) }) }
  }
  return {}
}

function asOptions(settings: ProviderSettings, fetch: typeof globalThis.fetch) {
  return {
    ...(settings.key === undefined ? {} : { apiKey: settings.key }),
    ...(settings.url === undefined ? {} : { baseURL: settings.url }),
    fetch,
  }
}

/** Anthropic's models accept a prefilled assistant message up to 4.5. Later ones refuse it, as other providers do. */
function prefillOf(provider: ProviderName, model: string): Prefill {
  return provider === 'anthropic' && PREFILLED.test(model) ? 'text' : 'none'
}

const PREFILLED = /^claude-(3|(opus|sonnet|haiku)-4-([015]|\d{8})(?!\d))/
