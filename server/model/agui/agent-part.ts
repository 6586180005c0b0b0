// AgentPart: what a remote agent's answer has besides the parts of a model's answer. They travel as its `raw` parts.
import type { AgentInterrupt } from './agent-event.ts'

export type AgentPart =
  /** A message of the agent begins: the text that follows belongs to it. */
  | { readonly type: 'message'; readonly id: string }
  | { readonly type: 'state'; readonly state: unknown }
  /** The agent keeps results under other ids than it reported: pairs of its ids of a call and of the result's message. */
  | { readonly type: 'results'; readonly ids: readonly (readonly [call: string, message: string])[] }
  /** The agent waits for people. It gets their answers with the next request. Precedes the end of the answer. */
  | { readonly type: 'interrupts'; readonly interrupts: readonly AgentInterrupt[] }
  /** The agent is alive: it sent something that the run does not use. */
  | { readonly type: 'alive' }

/** The name of a run's data with the agent's state, which replaces the one before. */
export const STATE_DATA = 'state'

/** The answer to an interrupt, in the agent's form. */
export interface PersonAnswer {
  readonly interruptId: string
  readonly status: 'resolved' | 'cancelled'
  readonly payload?: unknown
}
