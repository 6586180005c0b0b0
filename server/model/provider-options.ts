// ProviderOptions: the options of a message that the AI SDK has no common name for, in the terms of each provider's package. Pure.
import type { SharedV3ProviderOptions } from '@ai-sdk/provider'
import type { Sampling } from '@parley/protocol'
import type { ProviderName } from './model-config.ts'

type Own = Required<
  Pick<
    Sampling,
    | 'parallelToolCalls'
    | 'reasoningEffort'
    | 'reasoningSummary'
    | 'reasoningMode'
    | 'verbosity'
    | 'logitBias'
    | 'serviceTier'
    | 'promptCacheKey'
    | 'promptCacheRetention'
    | 'safetyIdentifier'
    | 'user'
  >
>
/** How a package takes each option. An absent option, or `undefined` for a value, means that the provider does not support it. */
type Taken = { readonly [Name in keyof Own]?: (value: NonNullable<Own[Name]>) => object | undefined }

const one =
  (name: string) =>
  (value: unknown): object => ({ [name]: value })
const oneOf =
  (values: readonly string[], asOptions: (value: string) => object) =>
  (value: string): object | undefined =>
    values.includes(value) ? asOptions(value) : undefined

const EFFORTS = ['low', 'medium', 'high', 'xhigh', 'max']
const TAKEN: Readonly<Record<ProviderName, Taken>> = {
  openai: {
    parallelToolCalls: one('parallelToolCalls'),
    reasoningEffort: one('reasoningEffort'),
    reasoningSummary: one('reasoningSummary'),
    reasoningMode: oneOf(['standard', 'pro'], one('reasoningMode')),
    verbosity: one('textVerbosity'),
    serviceTier: oneOf(['auto', 'default', 'flex', 'priority', 'fast', 'ultrafast'], one('serviceTier')),
    promptCacheKey: one('promptCacheKey'),
    promptCacheRetention: oneOf(['in_memory', '24h'], one('promptCacheRetention')),
    safetyIdentifier: one('safetyIdentifier'),
    user: one('user'),
  },
  anthropic: {
    parallelToolCalls: (value) => ({ disableParallelToolUse: !value }),
    reasoningEffort: (value) =>
      value === 'none' ? { thinking: { type: 'disabled' } } : oneOf(EFFORTS, one('effort'))(value),
    user: (userId) => ({ metadata: { userId } }),
    safetyIdentifier: (userId) => ({ metadata: { userId } }),
  },
  google: {
    reasoningEffort: oneOf(['minimal', 'low', 'medium', 'high'], (thinkingLevel) => ({
      thinkingConfig: { thinkingLevel },
    })),
    serviceTier: oneOf(['flex', 'priority'], one('serviceTier')),
  },
  // Some servers refuse requests with fields that they do not know, so these get no hints.
  compatible: {
    parallelToolCalls: one('parallel_tool_calls'),
    reasoningEffort: one('reasoningEffort'),
    verbosity: one('textVerbosity'),
    logitBias: one('logit_bias'),
    serviceTier: one('service_tier'),
    user: one('user'),
  },
}

/** Values that every provider has without being asked. */
const DEFAULTS: Readonly<Partial<Record<keyof Own, readonly unknown[]>>> = {
  parallelToolCalls: [true],
  reasoningMode: ['standard'],
  verbosity: ['medium'],
  serviceTier: ['auto', 'default'],
}
/** Options that do not change the answer: hints for caches, for the detection of abuse, and for the display of reasoning. */
const HINTS: readonly string[] = [
  'promptCacheKey',
  'promptCacheRetention',
  'reasoningSummary',
  'safetyIdentifier',
  'user',
] satisfies (keyof Own)[]

/** @param id of the model, with its provider @returns an empty object for a model of no provider, such as `demo` */
export function providerOptions(id: string, asked: Sampling): { readonly providerOptions?: SharedV3ProviderOptions } {
  const provider = providerOf(id)
  if (provider === undefined) return {}
  const options = Object.assign({}, ...taken(provider, asked).map(({ options: each }) => each)) as Record<string, never>
  const strict = asked.json?.strict
  const takesStrict = provider === 'openai' || provider === 'compatible'
  const all = { ...options, ...(strict !== undefined && takesStrict ? { strictJsonSchema: strict } : {}) }
  return Object.keys(all).length === 0 ? {} : { providerOptions: { [provider]: all } }
}

/** The options that change the answer, and that the provider supports with none of its models. */
export function unsupportedOptions(id: string, asked: Sampling): readonly (keyof Sampling)[] {
  const provider = providerOf(id)
  if (provider === undefined) return []
  return taken(provider, asked)
    .filter(
      ({ name, value, options }) => options === undefined && !HINTS.includes(name) && !DEFAULTS[name]?.includes(value),
    )
    .map(({ name }) => name)
}

function taken(provider: ProviderName, asked: Sampling) {
  return OWN.filter((name) => asked[name] !== undefined).map((name) => {
    const value = asked[name]
    const take = TAKEN[provider][name] as ((value: unknown) => object | undefined) | undefined
    return { name, value, options: take?.(value) }
  })
}

const OWN = [...new Set(Object.values(TAKEN).flatMap((each) => Object.keys(each)))] as (keyof Own)[]

function providerOf(id: string): ProviderName | undefined {
  const name = id.slice(0, id.indexOf(':'))
  return name in TAKEN ? (name as ProviderName) : undefined
}
