// ChoiceStore: the model and the agent that the user chose for a session, over reloads. Old choices are removed
// together with old drafts.
import { type MeAnswer, mentionedAgent } from '@parley/client'
import type { BrowserStorage } from '../shared/browser-storage.ts'
import { Store } from '../shared/store.ts'

/** Undefined: the server's default. */
export interface Choice {
  readonly model?: string
  readonly agent?: string
}

export type Offers = NonNullable<MeAnswer['offers']>

export const CHOICE_PREFIX = 'parley.choice.'

export class ChoiceStore extends Store<Choice> {
  readonly #storage: BrowserStorage
  readonly #key: string

  constructor(storage: BrowserStorage, session: string) {
    const key = CHOICE_PREFIX + session
    const stored = storage.read(key)
    const { model, agent } = (typeof stored === 'object' && stored !== null ? stored : {}) as Record<string, unknown>
    super(choiceOf(typeof model === 'string' ? model : undefined, typeof agent === 'string' ? agent : undefined))
    this.#storage = storage
    this.#key = key
  }

  /** An agent handed the conversation over: with a choice of that agent, the next message would go to it again. */
  handedOver(from: string | undefined): void {
    const { model, agent } = this.state
    if (agent !== undefined && agent === from) this.choose(choiceOf(model, undefined))
  }

  choose(choice: Choice): void {
    const isDefault = choice.model === undefined && choice.agent === undefined
    this.#storage.write(this.#key, isDefault ? undefined : choice)
    this.setState(choice)
  }
}

export function choiceOf(model: string | undefined, agent: string | undefined): Choice {
  return { ...(model === undefined ? {} : { model }), ...(agent === undefined ? {} : { agent }) }
}

/**
 * The message in a draft, without the agent that `@name` at its beginning names, and its choice.
 * @param steers it is added to the answer of whichever agent speaks: then the name is for that agent to read, and counts only if the
 * message comes too late
 */
export function addressed(
  draft: string,
  choice: Choice,
  offers: Offers | undefined,
  steers = false,
): Choice & { readonly text: string } {
  const isNamed = draft.trimStart().startsWith('@')
  const named = isNamed ? mentionedAgent(draft, offers?.agents.map(({ name }) => name) ?? []) : undefined
  if (named === undefined) return { text: draft, ...choice }
  return { text: steers ? draft : named.text, ...choiceOf(choice.model, named.agent) }
}

/** The agents that a draft may mean which is nothing but `@` and the beginning of a name. */
export function suggestedAgents(draft: string, offers: Offers | undefined): readonly string[] {
  const [, begun] = /^\s*@(\S*)$/u.exec(draft) ?? []
  if (begun === undefined || offers === undefined) return []
  const isMeant = (name: string): boolean => name.toLowerCase().startsWith(begun.toLowerCase())
  return offers.agents.map(({ name }) => name).filter(isMeant)
}

/** The parts of a choice that the server no longer offers. Without `offers` nothing is known. */
export function unavailable({ model, agent }: Choice, offers: Offers | undefined): readonly string[] {
  if (offers === undefined) return []
  const isModel = (id: string): boolean => offers.models.some((each) => each === id || isMatch(each, id))
  return [
    ...(model === undefined || isModel(model) ? [] : [model]),
    ...(agent === undefined || offers.agents.some(({ name }) => name === agent) ? [] : [agent]),
  ]
}

/** Whether `openai:*` stands for this model. */
function isMatch(pattern: string, id: string): boolean {
  return pattern.endsWith(':*') && id.startsWith(pattern.slice(0, -1))
}

/** What a new version of a message asks for: the same as the message, or the current choice if that is no longer offered. */
export function offeredChoice({ model, agent }: Choice, current: Choice, offers: Offers | undefined): Choice {
  const same = choiceOf(model, agent)
  return unavailable(same, offers).length === 0 ? same : current
}

/** The models that can be listed. */
export function namedModels({ models }: Offers): readonly string[] {
  return models.filter((id) => !id.endsWith(':*'))
}
