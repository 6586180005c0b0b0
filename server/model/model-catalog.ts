// ModelCatalog: the list of allowed models. An invalid list aborts start-up; afterwards a model is allowed or it is not.
import { ReplyError } from '@parley/protocol'
import { createDemoModel } from './demo-model.ts'
import type { Model, ModelCatalog } from './model.ts'
import { type ModelConfig, ModelConfigError, type ProviderName, splitModelId, VARIABLES } from './model-config.ts'
import { createProviders } from './providers.ts'

export interface ModelCatalogOptions {
  /** Sends requests to providers. Default: the global `fetch`. */
  readonly fetch?: typeof fetch
  /** `fetch` sends requests through a relay. */
  readonly relayed?: boolean
}

/** At most this many models are cached; a wildcard allows any number. */
const MAX_CACHED = 256

/** @throws ModelConfigError when a model is malformed, or its provider lacks a key or a URL */
export function createModelCatalog(config: ModelConfig, options: ModelCatalogOptions = {}): ModelCatalog {
  const defaultId = config.model ?? config.models?.find((id) => !id.endsWith(':*')) ?? 'demo'
  const ids = [...new Set([defaultId, ...(config.models ?? [])])]
  if (defaultId.endsWith(':*')) {
    throw new ModelConfigError(
      'PARLEY_MODEL',
      `PARLEY_MODEL must name one model; ${JSON.stringify(defaultId)} is a wildcard.`,
    )
  }
  if (config.model === undefined && config.models !== undefined && !config.models.includes(defaultId)) {
    throw new ModelConfigError(
      'PARLEY_MODEL',
      'PARLEY_MODEL must name the default model: PARLEY_MODELS contains only wildcards.',
    )
  }
  for (const id of config.thinkModels ?? []) split(id, 'PARLEY_THINK_MODELS')
  for (const id of config.thinkOpenedModels ?? []) split(id, 'PARLEY_THINK_OPENED_MODELS')
  for (const id of config.nullContentModels ?? []) split(id, 'PARLEY_NULL_CONTENT_MODELS')
  for (const id of config.contextTokens?.keys() ?? []) if (id !== '*') split(id, 'PARLEY_CONTEXT_TOKENS')
  for (const id of ids) check(id, id === config.model ? 'PARLEY_MODEL' : 'PARLEY_MODELS', config)

  const providers = createProviders(config, options.fetch, options.relayed)
  const cached = new Map<string, Model>()
  return {
    defaultId,
    ids,
    get(id = defaultId) {
      const found = cached.get(id)
      if (found !== undefined) return found
      const parts = splitModelId(id)
      if (parts === undefined || !(ids.includes(id) || ids.includes(`${parts.provider}:*`)) || parts.model === '*') {
        throw new ReplyError('model_not_allowed')
      }
      const model =
        parts.provider === 'demo'
          ? createDemoModel(config.contextTokens)
          : providers.create(id, parts.provider, parts.model)
      if (cached.size < MAX_CACHED) cached.set(id, model)
      return model
    },
  }
}

function split(id: string, setting: string): NonNullable<ReturnType<typeof splitModelId>> {
  const parts = splitModelId(id)
  if (parts !== undefined) return parts
  const known = 'demo, openai:<id>, anthropic:<id>, google:<id> or compatible:<id>'
  throw new ModelConfigError(setting, `${setting}: ${JSON.stringify(id)} is not a model; use ${known}.`)
}

function check(id: string, setting: string, config: ModelConfig): void {
  const parts = split(id, setting)
  if (parts.provider !== 'demo') checkProvider(id, parts.provider, config)
}

function checkProvider(id: string, provider: ProviderName, config: ModelConfig): void {
  const { key, url } = config[provider] ?? {}
  const variable = VARIABLES[provider]
  if (provider === 'compatible') {
    if (url === undefined)
      throw new ModelConfigError(variable.url, `${variable.url} must be set: it is the address of ${id}.`)
  } else if (key === undefined) {
    throw new ModelConfigError(variable.key, `${variable.key} must be set: ${id} requires it.`)
  }
  if (url !== undefined && !isHttpUrl(url)) {
    throw new ModelConfigError(variable.url, `${variable.url} must be an http or https URL.`)
  }
}

function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
}
