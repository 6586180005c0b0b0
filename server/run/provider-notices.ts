// ProviderNotices: what the model did not get as it was sent: options and content, by the words of the provider's package, and parts
// of the conversation. The reader of the run gets notices; a run whose sender relies on an option fails.
import type { SharedV3Warning } from '@ai-sdk/provider'
import { type RunNotice, Sampling } from '@parley/protocol'
import { publicText } from '../model/public-text.ts'
import { ModelFailure } from './model-call.ts'

type Option = keyof Sampling

/** Features of the AI SDK as options of a message, if their names differ. */
const OPTIONS: Readonly<Record<string, Option>> = {
  stopSequences: 'stop',
  responseFormat: 'json',
  'providerOptions.anthropic.effort': 'reasoningEffort',
  'providerOptions.anthropic.thinking': 'reasoningEffort',
}

/** A provider that warns of every message of a long history says enough with these. */
const MAX_NOTICES = 16

/** The notices of one run. Each option, media type and tool has at most one, and each warning comes once. */
export class ProviderNotices {
  #notices: Map<string, RunNotice> | undefined
  /** About the last prompt: it contains the earlier ones. */
  ofPrompt: readonly RunNotice[] = []

  /** Undefined if there are none. */
  get all(): { readonly notices: RunNotice[] } | undefined {
    const notices = [...this.ofPrompt, ...(this.#notices?.values() ?? [])].slice(0, MAX_NOTICES)
    return notices.length === 0 ? undefined : { notices }
  }

  /**
   * @param asked the options of the run's message; warnings about other options do not concern its sender
   * @throws ModelFailure option_unsupported
   */
  add(warnings: readonly SharedV3Warning[], asked: Sampling = {}): void {
    for (const warning of warnings) {
      const option = warning.type === 'other' ? undefined : optionOf(warning.feature)
      if (option === undefined) {
        this.#set(wordsOf(warning), { code: 'provider_warning', message: wordsOf(warning) })
      } else if (asked[option] !== undefined && warning.type !== 'other') {
        const isLost = warning.type === 'unsupported'
        if (isLost && isGuarantee(asked, option)) {
          throw new ModelFailure('option_unsupported', `The model does not support the option ${option}.`)
        }
        const words = warning.details === undefined ? {} : { message: publicText(warning.details) }
        this.#set(option, { code: isLost ? 'option_ignored' : 'option_adapted', option, ...words })
      }
    }
  }

  #set(key: string, notice: RunNotice): void {
    this.#notices ??= new Map()
    if (this.#notices.size < MAX_NOTICES || this.#notices.has(key)) this.#notices.set(key, notice)
  }
}

function optionOf(feature: string): Option | undefined {
  return OPTIONS[feature] ?? (Object.hasOwn(Sampling.shape, feature) ? (feature as Option) : undefined)
}

function wordsOf(warning: SharedV3Warning): string {
  if (warning.type === 'other') return publicText(warning.message)
  const { type, feature, details } = warning
  const what =
    type === 'unsupported' ? `The model does not support: ${feature}.` : `Passed on in another form: ${feature}.`
  return publicText(details === undefined ? what : `${what} ${details}`)
}

/** The caller parses the answer, executes or rules out calls, or bans words: an answer without the option would be wrong. */
function isGuarantee({ toolChoice, parallelToolCalls }: Sampling, option: Option): boolean {
  if (option === 'toolChoice') return toolChoice !== 'auto'
  if (option === 'parallelToolCalls') return parallelToolCalls === false
  return option === 'json' || option === 'logitBias'
}
