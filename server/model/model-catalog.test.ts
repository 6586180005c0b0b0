// The model catalog: what the configuration allows, and its errors.
import { describe, expect, it } from 'vitest'
import { createModelCatalog } from './model-catalog.ts'
import { ModelConfigError, readModelConfig } from './model-config.ts'

function catalogOf(env: Record<string, string>) {
  return createModelCatalog(readModelConfig(env))
}

/** The setting that aborts start-up. */
function stopper(env: Record<string, string>): string {
  try {
    catalogOf(env)
  } catch (error) {
    if (!(error instanceof ModelConfigError)) throw error
    expect(error.message).toContain(error.setting)
    return error.setting
  }
  return 'none'
}

describe('the model catalog', () => {
  it('offers the demo model when nothing is configured', () => {
    const catalog = catalogOf({ PARLEY_MODEL: '', PARLEY_MODELS: ' ' })
    expect([catalog.defaultId, catalog.ids]).toEqual(['demo', ['demo']])
    expect(catalog.get()).toMatchObject({ id: 'demo', prefill: 'exact' })
    expect(catalog.get('demo')).toBe(catalog.get())
  })

  it('offers the listed models and the default, and nothing else', () => {
    const catalog = catalogOf({
      PARLEY_MODEL: 'openai:a',
      PARLEY_MODELS: 'demo, openai:b,compatible:org/c:8b',
      OPENAI_API_KEY: 'k',
      PARLEY_COMPATIBLE_URL: 'http://127.0.0.1:1/v1',
    })
    expect(catalog.ids).toEqual(['openai:a', 'demo', 'openai:b', 'compatible:org/c:8b'])
    expect(catalog.get()).toMatchObject({ id: 'openai:a', prefill: 'none' })
    expect(catalog.get('compatible:org/c:8b').language.modelId).toBe('org/c:8b')
    for (const id of ['openai:c', 'openai:*', 'anthropic:a', 'b', '', 'constructor', 'demo:x', ':']) {
      expect(() => catalog.get(id), id).toThrow(expect.objectContaining({ code: 'model_not_allowed' }))
    }
  })

  it('uses the first listed model as the default', () => {
    expect(catalogOf({ PARLEY_MODELS: 'anthropic:*,anthropic:a', ANTHROPIC_API_KEY: 'k' }).defaultId).toBe(
      'anthropic:a',
    )
  })

  it('offers every model of a provider by a wildcard', () => {
    const catalog = catalogOf({ PARLEY_MODEL: 'demo', PARLEY_MODELS: 'google:*', GOOGLE_GENERATIVE_AI_API_KEY: 'k' })
    expect(catalog.get('google:gemini-x').id).toBe('google:gemini-x')
    expect(() => catalog.get('openai:x')).toThrow(expect.objectContaining({ code: 'model_not_allowed' }))
    expect(() => catalog.get('google:')).toThrow(expect.objectContaining({ code: 'model_not_allowed' }))
    expect(() => catalog.get('google:a b')).toThrow(expect.objectContaining({ code: 'model_not_allowed' }))
  })

  it('knows which of Anthropic’s models can be prefilled', () => {
    const catalog = catalogOf({ PARLEY_MODEL: 'demo', PARLEY_MODELS: 'anthropic:*', ANTHROPIC_API_KEY: 'k' })
    const prefill = (id: string): string => catalog.get(`anthropic:${id}`).prefill
    for (const id of [
      'claude-3-haiku-20240307',
      'claude-sonnet-4-20250514',
      'claude-opus-4-1',
      'claude-sonnet-4-5-20250929',
      'claude-haiku-4-5',
    ]) {
      expect(prefill(id), id).toBe('text')
    }
    for (const id of ['claude-opus-4-6', 'claude-sonnet-5', 'claude-opus-4-50']) expect(prefill(id), id).toBe('none')
  })

  it('knows the context windows of model families, unless they are configured', () => {
    const env = { PARLEY_MODEL: 'demo', PARLEY_MODELS: 'anthropic:*,openai:*,google:*,compatible:*' }
    const keys = { ANTHROPIC_API_KEY: 'k', OPENAI_API_KEY: 'k', GOOGLE_GENERATIVE_AI_API_KEY: 'k' }
    const windows = (configured: string, ...ids: string[]): number[] => {
      const settings = { ...env, ...keys, PARLEY_COMPATIBLE_URL: 'http://x', PARLEY_CONTEXT_TOKENS: configured }
      return ids.map((id) => catalogOf(settings).get(id).contextTokens)
    }
    const claude = ['claude-3-haiku-20240307', 'claude-sonnet-4-20250514', 'claude-opus-4-6', 'claude-haiku-5-5']
    expect(windows('', ...claude.map((id) => `anthropic:${id}`))).toEqual([200_000, 200_000, 1_000_000, 1_000_000])
    const gpt = [
      'gpt-3.5-turbo',
      'gpt-4',
      'gpt-4-0613',
      'gpt-4-turbo',
      'gpt-4o-mini',
      'gpt-4.1',
      'o3',
      'gpt-5.1',
      'gpt-6-sol',
    ]
    expect(windows('', ...gpt.map((id) => `openai:${id}`))).toEqual([
      ...[16_385, 8_192, 8_192, 128_000, 128_000, 1_047_576, 200_000, 272_000, 272_000],
    ])
    expect(windows('', 'google:gemini-3-pro', 'compatible:llama-3', 'demo')).toEqual([1_048_576, 100_000, 100_000])
    const configured = 'compatible:llama-3=8192, compatible:*=32768,5000'
    expect(windows(configured, 'compatible:llama-3', 'compatible:x', 'openai:gpt-4o')).toEqual([8_192, 32_768, 5_000])
    for (const wrong of ['many', '-1', '8k', '100', 'llama=8192', 'compatible:x=', '=8192']) {
      expect(stopper({ PARLEY_MODEL: 'demo', PARLEY_CONTEXT_TOKENS: wrong }), wrong).toBe('PARLEY_CONTEXT_TOKENS')
    }
  })

  it('aborts start-up and names the setting if a key, a URL or a model is missing or malformed', () => {
    expect(stopper({ PARLEY_MODEL: 'openai:a' })).toBe('OPENAI_API_KEY')
    expect(stopper({ PARLEY_MODEL: 'anthropic:a' })).toBe('ANTHROPIC_API_KEY')
    expect(stopper({ PARLEY_MODELS: 'demo,google:*' })).toBe('GOOGLE_GENERATIVE_AI_API_KEY')
    expect(stopper({ PARLEY_MODEL: 'compatible:a' })).toBe('PARLEY_COMPATIBLE_URL')
    expect(stopper({ PARLEY_MODEL: 'compatible:a', PARLEY_COMPATIBLE_URL: 'localhost:11434' })).toBe(
      'PARLEY_COMPATIBLE_URL',
    )
    expect(stopper({ PARLEY_MODEL: 'openai:a', OPENAI_API_KEY: 'k', OPENAI_BASE_URL: 'ftp://x' })).toBe(
      'OPENAI_BASE_URL',
    )
    expect(stopper({ PARLEY_MODEL: 'gpt' })).toBe('PARLEY_MODEL')
    expect(stopper({ PARLEY_MODEL: 'openai:*', OPENAI_API_KEY: 'k' })).toBe('PARLEY_MODEL')
    expect(stopper({ PARLEY_MODELS: 'demo,mistral:a' })).toBe('PARLEY_MODELS')
    expect(stopper({ PARLEY_MODELS: 'openai:*', OPENAI_API_KEY: 'k' })).toBe('PARLEY_MODEL')
    // Settings of unused providers abort nothing.
    expect(stopper({ PARLEY_MODEL: 'demo', OPENAI_BASE_URL: 'ftp://x' })).toBe('none')
  })

  it('shows no secret in its errors', () => {
    const env = { PARLEY_MODEL: 'openai:a', OPENAI_API_KEY: 'sk-secret', OPENAI_BASE_URL: 'user:sk-secret' }
    expect(() => catalogOf(env)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('sk-secret') }))
  })
})
