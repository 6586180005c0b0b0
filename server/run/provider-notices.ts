// ProviderNotices: what a provider's package says about options that it could not pass on. The reader of the run gets a notice;
// a run whose sender relies on the option fails.
import type { SharedV3Warning } from '@ai-sdk/provider'
import type { RunNotice, Sampling } from '@parley/protocol'
import { ModelFailure } from './model-call.ts'

type Option = keyof Sampling

/** Features of the AI SDK as options of a message. */
const OPTIONS: Readonly<Record<string, Option>> = {
  maxOutputTokens: 'maxOutputTokens',
  temperature: 'temperature',
  topP: 'topP',
  presencePenalty: 'presencePenalty',
  frequencyPenalty: 'frequencyPenalty',
  stopSequences: 'stop',
  seed: 'seed',
  responseFormat: 'json',
  toolChoice: 'toolChoice',
}

/** The notices of one run. Each option has at most one. */
export class ProviderNotices {
  readonly #notices = new Map<Option, RunNotice>()

  /** Undefined if there are none. */
  get all(): { readonly notices: RunNotice[] } | undefined {
    return this.#notices.size === 0 ? undefined : { notices: [...this.#notices.values()] }
  }

  /**
   * @param asked the options of the run's message; warnings about other options do not concern its sender
   * @throws ModelFailure option_unsupported
   */
  add(warnings: readonly SharedV3Warning[], asked: Sampling = {}): void {
    for (const warning of warnings) {
      if (warning.type === 'other') continue
      const option = OPTIONS[warning.feature]
      if (option === undefined || asked[option] === undefined) continue
      if (warning.type === 'unsupported' && isGuarantee(asked, option)) {
        throw new ModelFailure('option_unsupported', `The model does not support the option ${option}.`)
      }
      this.#notices.set(option, { code: warning.type === 'unsupported' ? 'option_ignored' : 'option_adapted', option })
    }
  }
}

/** The caller parses the answer, or executes or rules out a call: an answer without the option would be wrong. */
function isGuarantee({ toolChoice }: Sampling, option: Option): boolean {
  return option === 'json' || (option === 'toolChoice' && toolChoice !== 'auto')
}
