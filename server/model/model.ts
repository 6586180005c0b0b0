// Model: the server's view of a language model. Only this folder imports provider packages, and no provider's key or URL leaves it.
import type { LanguageModelV3 } from '@ai-sdk/provider'

/**
 * Whether the provider continues an assistant message at the end of the prompt.
 * `text`: an answer of text only. `exact`: reasoning as well, at exactly the next token. `tail`: text, also after reasoning.
 * `asked`: the model is asked for the rest of the text, and may repeat some of it.
 */
export type Prefill = 'none' | 'text' | 'exact' | 'tail' | 'asked'

/** An AI SDK model, and how a run may use it. */
export interface Model {
  /** As configured: `demo`, `openai:gpt-5`, `compatible:llama-3`. */
  readonly id: string
  readonly language: LanguageModelV3
  readonly prefill: Prefill
  /** Texts that no message for people may contain: the provider's key and host. */
  readonly secrets?: readonly string[]
  /** The context window: tokens of a request and its answer together. */
  readonly contextTokens: number
  /** Its requests go through a relay, if they name a stream there: see relay-fetch.ts. */
  readonly relayed?: true
  /** Instead of the server's limits: milliseconds from the request to the first part, and between two parts. */
  readonly timeouts?: { readonly firstTokenMs: number; readonly betweenTokensMs: number }
  /**
   * A remote agent: it has tools and a state of its own, and its answers may have effects. So a request that it has accepted is not
   * repeated, unless the run's driver dies.
   */
  readonly remote?: true
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
