// ModelConfig: the models on offer, and the addresses and keys of their providers, from the environment. An error names the
// setting and never shows a key.
import type { ContextTokens } from './context-window.ts'
import { DIALECTS, type Dialect } from './continuation.ts'

export interface ProviderSettings {
  readonly key?: string
  /** Default: the provider's own. */
  readonly url?: string
}

export interface ModelConfig {
  /** The default model. */
  readonly model?: string
  /** The allowed models; the default model is always allowed. */
  readonly models?: readonly string[]
  /** Models that write their reasoning as `<think>…</think>` in the answer; `compatible:*` stands for all of a provider. */
  readonly thinkModels?: readonly string[]
  /** Models whose answers start inside the reasoning, and have only `</think>`. */
  readonly thinkOpenedModels?: readonly string[]
  /** Models whose server refuses `content: ""` beside tool calls, and takes `null`. Gemini's do without this list. */
  readonly nullContentModels?: readonly string[]
  /** Context windows that differ from the known ones. */
  readonly contextTokens?: ContextTokens
  /** How models continue an answer that broke off; `compatible:*` stands for all of a provider. */
  readonly dialects?: ReadonlyMap<string, Dialect>
  readonly openai?: ProviderSettings
  readonly anthropic?: ProviderSettings
  readonly google?: ProviderSettings
  /** Any server with OpenAI's chat completions API. */
  readonly compatible?: ProviderSettings
}

/** A setting is missing or malformed. Aborts start-up. */
export class ModelConfigError extends Error {
  override readonly name = 'ModelConfigError'
  /** The environment variable. */
  readonly setting: string

  constructor(setting: string, message: string) {
    super(message)
    this.setting = setting
  }
}

export const PROVIDERS = ['openai', 'anthropic', 'google', 'compatible'] as const
export type ProviderName = (typeof PROVIDERS)[number]

/** The variables of each provider, named as its own tools name them. */
export const VARIABLES: Readonly<Record<ProviderName, { readonly key: string; readonly url: string }>> = {
  openai: { key: 'OPENAI_API_KEY', url: 'OPENAI_BASE_URL' },
  anthropic: { key: 'ANTHROPIC_API_KEY', url: 'ANTHROPIC_BASE_URL' },
  google: { key: 'GOOGLE_GENERATIVE_AI_API_KEY', url: 'GOOGLE_GENERATIVE_AI_BASE_URL' },
  compatible: { key: 'PARLEY_COMPATIBLE_KEY', url: 'PARLEY_COMPATIBLE_URL' },
}

/** The base URLs of the providers' packages. */
const DEFAULT_URLS: Readonly<Partial<Record<ProviderName, string>>> = {
  openai: 'https://api.openai.com/v1',
  anthropic: 'https://api.anthropic.com/v1',
  google: 'https://generativelanguage.googleapis.com/v1beta',
}

/** @returns the base URL of each provider that has one */
export function providerUrls(config: ModelConfig): readonly string[] {
  return PROVIDERS.map((name) => config[name]?.url ?? DEFAULT_URLS[name]).filter((url) => url !== undefined)
}

/** Reads the settings of models and the providers' variables. An empty variable counts as unset. */
export function readModelConfig(env: Readonly<Record<string, string | undefined>>): ModelConfig {
  const model = set(env.PARLEY_MODEL)
  const models = listOf(env.PARLEY_MODELS)
  const thinkModels = listOf(env.PARLEY_THINK_MODELS)
  const thinkOpenedModels = listOf(env.PARLEY_THINK_OPENED_MODELS)
  const nullContentModels = listOf(env.PARLEY_NULL_CONTENT_MODELS)
  const contextTokens = tokensOf(listOf(env.PARLEY_CONTEXT_TOKENS))
  const dialects = dialectsOf(listOf(env.PARLEY_COMPATIBLE_PREFILL))
  const providers = PROVIDERS.map((name) => {
    const key = set(env[VARIABLES[name].key])
    const url = set(env[VARIABLES[name].url])
    return [name, { ...(key === undefined ? {} : { key }), ...(url === undefined ? {} : { url }) }]
  })
  return {
    ...(model === undefined ? {} : { model }),
    ...(models === undefined ? {} : { models }),
    ...(thinkModels === undefined ? {} : { thinkModels }),
    ...(thinkOpenedModels === undefined ? {} : { thinkOpenedModels }),
    ...(nullContentModels === undefined ? {} : { nullContentModels }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(dialects === undefined ? {} : { dialects }),
    ...Object.fromEntries(providers),
  }
}

/** @returns the parts of a model id; undefined if it is malformed */
export function splitModelId(
  id: string,
): { readonly provider: 'demo' | ProviderName; readonly model: string } | undefined {
  if (id === 'demo') return { provider: 'demo', model: 'demo' }
  const colon = id.indexOf(':')
  const provider = PROVIDERS.find((name) => name === id.slice(0, colon))
  const model = id.slice(colon + 1)
  return provider === undefined || model === '' || /\s/.test(model) ? undefined : { provider, model }
}

/** `8192`, or `compatible:llama-3=8192,openai:*=400000`. */
function tokensOf(items: readonly string[] | undefined): ContextTokens | undefined {
  return (
    items &&
    new Map(
      items.map((item) => {
        const [, id = '*', tokens = ''] = /^(?:(.+)=)?(\d+)$/.exec(item) ?? []
        if (Number(tokens) >= MIN_CONTEXT_TOKENS) return [id, Number(tokens)] as const
        const form = `a number of tokens from ${MIN_CONTEXT_TOKENS}, or <model>=<tokens>`
        throw new ModelConfigError(
          'PARLEY_CONTEXT_TOKENS',
          `PARLEY_CONTEXT_TOKENS: ${JSON.stringify(item)} is not ${form}.`,
        )
      }),
    )
  )
}

/** `ask`, or `compatible:llama-3=exact,openai:*=ask`. A name without a provider is that of a compatible model. */
function dialectsOf(items: readonly string[] | undefined): ReadonlyMap<string, Dialect> | undefined {
  return items && new Map(items.map(dialectItem))
}

/** @throws ModelConfigError */
function dialectItem(item: string): readonly [string, Dialect] {
  const [, name = '*', word] = /^(?:(.+)=)?(\w+)$/.exec(item) ?? []
  const id = PROVIDERS.some((provider) => name.startsWith(`${provider}:`)) ? name : `compatible:${name}`
  const allowed = id.startsWith('compatible:') ? DIALECTS : (['none', 'ask'] as const)
  const dialect = allowed.find((known) => known === word)
  if (dialect !== undefined && splitModelId(id) !== undefined) return [id, dialect]
  const form = `${DIALECTS.join(', ')}, or <model>=<one of them>; models of other providers allow none and ask`
  throw new ModelConfigError(
    'PARLEY_COMPATIBLE_PREFILL',
    `PARLEY_COMPATIBLE_PREFILL: ${JSON.stringify(item)} is not ${form}.`,
  )
}

const MIN_CONTEXT_TOKENS = 256

function listOf(value: string | undefined): readonly string[] | undefined {
  return set(value)
    ?.split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '')
}

function set(value: string | undefined): string | undefined {
  const trimmed = value?.trim()
  return trimmed === '' ? undefined : trimmed
}
