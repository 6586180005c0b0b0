// HiddenData: data of a run that only servers use. Front ends do not show it.

/** A message of a remote agent begins. Its data is `{ id }`, the agent's id of the message. */
export const AGENT_MESSAGE = 'agui-message'

/** A remote agent has other ids for results than those that it reported. Its data has, by the ids of calls, the ids of the results. */
export const AGENT_RESULTS = 'agui-results'

/** Whether the text after this data is a separate text, and the data itself is not for people. */
export function isHidden({ name }: { readonly name: string }): boolean {
  return name === AGENT_MESSAGE || name === AGENT_RESULTS
}
