// The agents in a session's view: who speaks in an answer, which child runs belong to it, and whom the next message
// goes to. Pure.
import { answerOf } from './branch.ts'
import type { RunView } from './run-view.ts'
import type { SessionView } from './session-view.ts'

/**
 * The child runs of a run, at all levels: those of its first call first, each followed by its own.
 * @example
 * const run = session.state.runs.get(id)
 * if (run !== undefined) for (const child of childRuns(session.state, run)) console.log(child.agent, child.text)
 */
export function childRuns(view: Pick<SessionView, 'calls' | 'runs'>, run: RunView): readonly RunView[] {
  return run.parts.flatMap((part) => {
    const child = part.type === 'tool' ? view.calls.get(part.call)?.child : undefined
    const answer = child === undefined ? undefined : view.runs.get(child.run)
    return answer === undefined ? [] : [answer, ...childRuns(view, answer)]
  })
}

/**
 * The agent with which the answer begins; `run.agent` is the one with which it ends. Between them the answer has a call
 * with `handoff` for each hand-off.
 * @returns undefined for the server's default, and if it is unknown
 * @example
 * const name = firstAgent(session.state, run) ?? 'Assistant'
 */
export function firstAgent(
  view: Pick<SessionView, 'calls' | 'messages' | 'runs' | 'turns'>,
  run: RunView,
): string | undefined {
  if (run.status !== 'queued' && !isHanded(view, run)) return run.agent
  if (run.begunBy !== undefined) return run.begunBy
  // The start of the run may be compacted away.
  const at = view.turns.findLastIndex(({ message }) => message.id === run.message)
  const named = view.messages.findLast(({ id }) => id === run.message)?.agent
  return named ?? (at < 0 ? undefined : agentOfNext({ ...view, turns: view.turns.slice(0, at) }))
}

/**
 * The agent that answers the next message of the shown conversation if that names none: the one to which the
 * conversation was handed.
 * @returns undefined: the server's default
 * @example
 * const placeholder = `Message ${agentOfNext(session.state) ?? 'the assistant'}`
 */
export function agentOfNext(view: Pick<SessionView, 'calls' | 'runs' | 'turns'>): string | undefined {
  for (const turn of view.turns.toReversed()) {
    if (turn.kind !== 'message') continue
    const run = answerOf(view, turn.message)
    const named = turn.message.agent
    // It was given to the answer of another message, and to whichever agent spoke there.
    if (run === undefined && turn.message.policy === 'steer') continue
    if (run?.agent !== undefined) return isHanded(view, run) || run.agent !== named ? run.agent : undefined
    if (named !== undefined || (run !== undefined && run.status !== 'queued')) return undefined
  }
  return undefined
}

/**
 * Splits a text such as `@poet Write a haiku.` into the agent and the message.
 * @param agents the names that the server offers
 * @returns undefined if the text does not begin with `@` and one of the names
 * @example
 * const { offers } = await client.me()
 * const named = mentionedAgent(text, offers?.agents.map(({ name }) => name) ?? [])
 * session.send(named?.text ?? text, named === undefined ? {} : { agent: named.agent })
 */
export function mentionedAgent(
  text: string,
  agents: readonly string[],
): { readonly agent: string; readonly text: string } | undefined {
  const start = text.trimStart()
  if (!start.startsWith('@')) return undefined
  const named = agents.filter((name) => start.startsWith(name, 1) && /^([\s,:]|$)/.test(start.slice(name.length + 1)))
  const [agent] = named.sort((a, b) => b.length - a.length)
  if (agent === undefined) return undefined
  const rest = start.slice(agent.length + 1).replace(/^[,:]?\s*/, '')
  return { agent, text: rest === '' ? text : rest }
}

function isHanded({ calls }: Pick<SessionView, 'calls'>, run: RunView): boolean {
  return run.parts.some((part) => {
    const call = part.type === 'tool' ? calls.get(part.call) : undefined
    return call?.handoff !== undefined && call.status === 'completed'
  })
}
