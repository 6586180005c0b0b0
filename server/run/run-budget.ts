// RunBudget: what a run may use, and what it has used: the owner's side of budgets. Where nothing bounds a run, it costs nothing; where
// something does, nothing is done for a token.
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import type { Budget, Usage } from '@parley/protocol'

/** Where runs are paid. */
export interface RunBudgets {
  /** A run begins to use tokens; undefined: nothing bounds it. Throws nothing. */
  open(
    payer: { readonly user: string | undefined; readonly session: string; readonly budget: Budget | undefined },
    run: { used(): number; over(): void },
  ): Promise<OpenBudget | undefined>
}

export interface OpenBudget {
  /** Tokens that may still be used; not above 0: none. */
  readonly left: number
  /** So many more will be used, and are not among `used` yet. */
  expect(tokens: number): void
  /** What was used is counted, and no more comes. */
  close(): void
}

/** UTF-16 code units to a token, about. */
const CHARS = 4

/**
 * What one owner has used: of model calls that are over what the provider says, of one that is under way the deltas that came.
 * What was asked of a call that never told is an estimate: the provider read it all the same.
 */
export class RunUse {
  #told = 0
  #untold = 0
  /** Tokens of the prompt of the call that is under way. */
  #asked = 0
  /** Deltas when it began. */
  #from = 0

  /** A call begins. @param deltas received so far @returns tokens of its prompt, about */
  begins(prompt: LanguageModelV3Prompt, deltas: number): number {
    this.broke(deltas)
    this.#asked = promptTokens(prompt)
    this.#from = deltas
    return this.#asked
  }

  /** The provider has told what the call took. */
  finished({ inputTokens, outputTokens }: Usage, deltas: number): void {
    // Some providers tell nothing, or less than they sent.
    this.#told += Math.max(outputTokens, deltas - this.#from) + (inputTokens === 0 ? this.#asked : inputTokens)
    this.#rest(deltas)
  }

  /** The call is over, and nobody tells. One that brought nothing forth failed before it cost anything, as far as is known. */
  broke(deltas: number): void {
    const came = deltas - this.#from
    if (came > 0) this.#untold += came + this.#asked
    this.#rest(deltas)
  }

  /** Tokens, by what is known. */
  used(deltas: number): number {
    return this.#told + this.#untold + deltas - this.#from
  }

  #rest(deltas: number): void {
    this.#asked = 0
    this.#from = deltas
  }
}

export function promptTokens(prompt: LanguageModelV3Prompt): number {
  let chars = 0
  for (const { content } of prompt) {
    if (typeof content === 'string') chars += content.length
    else for (const part of content) chars += charsOf(part)
  }
  return Math.ceil(chars / CHARS)
}

type Part = Exclude<LanguageModelV3Prompt[number]['content'], string>[number]

/** Files are not counted: each provider has its own price for them, and tells it. */
function charsOf(part: Part): number {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return part.text.length
    case 'tool-call':
      return JSON.stringify(part.input)?.length ?? 0
    case 'tool-result':
      return JSON.stringify(part.output).length
    default:
      return 0
  }
}
