// Model: what the rest of the server sees of a language model. Provider packages are known in this folder only,
// and no text, key or URL of a provider gets out of it.
import type { LanguageModelV3 } from '@ai-sdk/provider'

/**
 * Whether the provider goes on from an assistant message that ends the prompt.
 * `text`: with text only. `exact`: with reasoning too, at exactly the next token.
 */
export type Prefill = 'none' | 'text' | 'exact'

/** What a run needs of a model: an AI SDK model, and how it may be used. */
export interface Model {
  /** As configured: `demo`, `openai:gpt-5`, `compatible:llama-3`. */
  readonly id: string
  readonly language: LanguageModelV3
  readonly prefill: Prefill
}

/** The models that this server offers. */
export interface ModelCatalog {
  readonly defaultId: string
  /** The allow-list, the default first; `openai:*` stands for every model of a provider. */
  readonly ids: readonly string[]
  /**
   * @param id the default model when absent
   * @throws ReplyError model_not_allowed
   */
  get(id?: string): Model
}
