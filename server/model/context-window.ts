// ContextWindow: how many tokens a model's request and answer may have together. Pure.

/** As much as 400,000 characters of English, for servers whose window nobody configured. */
const UNKNOWN = 100_000

/**
 * Windows of model families, by their providers' lists of models. Those of compatible servers depend on how each was started.
 * OpenAI's later models accept more than this, at a higher price for the whole request.
 */
const FAMILIES: readonly (readonly [RegExp, number])[] = [
  // platform.claude.com/docs/en/about-claude/models/overview
  [/^anthropic:claude-(fable|mythos|(opus|sonnet|haiku)-([5-9]|4-[6-9](?!\d)))/, 1_000_000],
  [/^anthropic:claude/, 200_000],
  // platform.openai.com/docs/models
  [/^openai:gpt-3/, 16_385],
  [/^openai:gpt-4\.1/, 1_047_576],
  [/^openai:gpt-4(-\d{4})?$/, 8_192],
  [/^openai:(chatgpt|gpt)-4/, 128_000],
  [/^openai:o\d/, 200_000],
  [/^openai:gpt-\d/, 272_000],
  // ai.google.dev/gemini-api/docs/models
  [/^google:(models\/)?gemini/, 1_048_576],
  [/^google:(models\/)?gemma/, 32_768],
]

/** Tokens by model id, by `<provider>:*` for the others of a provider, and by `*` for all others. */
export type ContextTokens = ReadonlyMap<string, number>

/** @param id a model id @param configured has precedence over what is known of the model's family */
export function contextTokens(id: string, configured: ContextTokens = new Map()): number {
  const provider = `${id.slice(0, id.indexOf(':'))}:*`
  const known = FAMILIES.find(([family]) => family.test(id))?.[1]
  return configured.get(id) ?? configured.get(provider) ?? configured.get('*') ?? known ?? UNKNOWN
}
