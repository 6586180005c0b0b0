// RunBudget: the tokens that a run may use and has used, as its driver counts them. Without a budget it costs nothing, and with one
// it does no work per token.
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import type { Budget, Usage } from '@parley/protocol'
import { estimateTokens } from '../model/token-estimate.ts'

/** The budgets that pay for runs. */
export interface RunBudgets {
  /** Opens the budget of a run; undefined if it has none. Never throws. */
  open(
    payer: { readonly user: string | undefined; readonly session: string; readonly budget: Budget | undefined },
    run: { used(): number; exhausted(): void },
  ): Promise<OpenBudget | undefined>
}

export interface OpenBudget {
  /** Remaining tokens; none if not above 0. */
  readonly left: number
  /** Reserves tokens that `used` does not include yet. */
  expect(tokens: number): void
  /** Books the used tokens and closes the budget. */
  close(): void
}

/**
 * The tokens that one driver has used: for finished model calls the provider's figures, for the current call its deltas. If a call
 * ends without figures, its prompt is estimated: the provider read it all the same.
 */
export class RunUse {
  #reported = 0
  #estimated = 0
  /** Prompt tokens of the current call. */
  #prompt = 0
  /** Deltas before the current call. */
  #from = 0

  /** A call starts. @param deltas received so far @returns an estimate of its prompt tokens */
  begins(prompt: LanguageModelV3Prompt, deltas: number): number {
    this.broke(deltas)
    this.#prompt = estimateTokens(prompt)
    this.#from = deltas
    return this.#prompt
  }

  /** The call ended with the provider's figures. */
  finished({ inputTokens, outputTokens }: Usage, deltas: number): void {
    // Some providers report nothing, or less than they sent.
    this.#reported += Math.max(outputTokens, deltas - this.#from) + (inputTokens === 0 ? this.#prompt : inputTokens)
    this.#rest(deltas)
  }

  /** The call ended without figures. A call without output is assumed to have cost nothing. */
  broke(deltas: number): void {
    const received = deltas - this.#from
    if (received > 0) this.#estimated += received + this.#prompt
    this.#rest(deltas)
  }

  /** Tokens used so far. */
  used(deltas: number): number {
    return this.#reported + this.#estimated + deltas - this.#from
  }

  #rest(deltas: number): void {
    this.#prompt = 0
    this.#from = deltas
  }
}
