// openModels: the catalog of models and providers from the configuration and the environment.
import { type Config, ConfigError } from '../config/config.ts'
import type { ModelCatalog } from '../model/model.ts'
import { createModelCatalog } from '../model/model-catalog.ts'
import { ModelConfigError, readModelConfig } from '../model/model-config.ts'
import type { Relay } from '../model/relay-fetch.ts'

/** @throws ConfigError */
export function openModels(config: Config, relay?: Relay): ModelCatalog {
  try {
    const {
      model,
      models,
      thinkModels,
      thinkOpenedModels,
      nullContentModels,
      contextTokens,
      compatibleUrl,
      compatibleKey,
      compatiblePrefill,
    } = config
    return createModelCatalog(
      readModelConfig({
        ...process.env,
        PARLEY_MODEL: model,
        PARLEY_MODELS: models?.join(','),
        PARLEY_THINK_MODELS: thinkModels?.join(','),
        PARLEY_THINK_OPENED_MODELS: thinkOpenedModels?.join(','),
        PARLEY_NULL_CONTENT_MODELS: nullContentModels?.join(','),
        PARLEY_CONTEXT_TOKENS: contextTokens?.join(','),
        PARLEY_COMPATIBLE_URL: compatibleUrl,
        PARLEY_COMPATIBLE_KEY: compatibleKey,
        PARLEY_COMPATIBLE_PREFILL: compatiblePrefill?.join(','),
      }),
      relay === undefined ? {} : { fetch: relay.fetch(globalThis.fetch), relayed: true },
    )
  } catch (error) {
    if (error instanceof ModelConfigError) throw new ConfigError([error.message])
    throw error
  }
}
