// ModelCatalog: the allow-list. Everything that is wrong with it stops the start; at run time a model is on it or not.
import { ReplyError } from '@parley/protocol'
import { createDemoModel } from './demo-model.ts'
import type { Model, ModelCatalog } from './model.ts'
import { type ModelConfig, ModelConfigError, type ProviderName, splitModelId, VARIABLES } from './model-config.ts'
import { createProviders } from './providers.ts'

export interface ModelCatalogOptions {
  /** How providers are reached; the global one when absent. */
  readonly fetch?: typeof fetch
}

/** Models that clients asked for by a wildcard and that are kept built. */
const MAX_KEPT = 256

/** @throws ModelConfigError when a model is malformed, or its provider lacks a key or a URL */
export function createModelCatalog(config: ModelConfig, options: ModelCatalogOptions = {}): ModelCatalog {
  const defaultId = config.model ?? config.models?.find((id) => !id.endsWith(':*')) ?? 'demo'
  const ids = [...new Set([defaultId, ...(config.models ?? [])])]
  if (defaultId.endsWith(':*')) {
    throw new ModelConfigError(
      'PARLEY_MODEL',
      `PARLEY_MODEL must be one model, and ${JSON.stringify(defaultId)} is many.`,
    )
  }
  if (config.model === undefined && config.models !== undefined && !config.models.includes(defaultId)) {
    throw new ModelConfigError(
      'PARLEY_MODEL',
      'PARLEY_MODEL must say which model is the default: PARLEY_MODELS names none.',
    )
  }
  for (const id of ids) check(id, id === config.model ? 'PARLEY_MODEL' : 'PARLEY_MODELS', config)

  const providers = createProviders(config, options.fetch)
  const kept = new Map<string, Model>()
  return {
    defaultId,
    ids,
    get(id = defaultId) {
      const found = kept.get(id)
      if (found !== undefined) return found
      const parts = splitModelId(id)
      if (parts === undefined || !(ids.includes(id) || ids.includes(`${parts.provider}:*`)) || parts.model === '*') {
        throw new ReplyError('model_not_allowed')
      }
      const model = parts.provider === 'demo' ? createDemoModel() : providers.create(id, parts.provider, parts.model)
      if (kept.size < MAX_KEPT) kept.set(id, model)
      return model
    },
  }
}

function check(id: string, setting: string, config: ModelConfig): void {
  const parts = splitModelId(id)
  if (parts === undefined) {
    const known = 'demo, openai:<id>, anthropic:<id>, google:<id> or compatible:<id>'
    throw new ModelConfigError(setting, `${setting}: ${JSON.stringify(id)} is no model; it must be ${known}.`)
  }
  if (parts.provider !== 'demo') checkProvider(id, parts.provider, config)
}

function checkProvider(id: string, provider: ProviderName, config: ModelConfig): void {
  const { key, url } = config[provider] ?? {}
  const variable = VARIABLES[provider]
  if (provider === 'compatible') {
    if (url === undefined)
      throw new ModelConfigError(variable.url, `${variable.url} must be set: ${id} is reached by it.`)
  } else if (key === undefined) {
    throw new ModelConfigError(variable.key, `${variable.key} must be set: ${id} needs it.`)
  }
  if (url !== undefined && !isHttpUrl(url)) {
    throw new ModelConfigError(variable.url, `${variable.url} must be an http or https URL.`)
  }
}

function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
}
