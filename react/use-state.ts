// The hooks that read a session or a client. Each selects a part of the state, and its component renders again only
// when that part is another object, at most once per frame: a token renders the component of its answer, and no other.
import {
  answerOf,
  type CallView,
  type ConnectionState,
  IDLE,
  newSession,
  type ParleyClient,
  type PresenceView,
  type RunView,
  type Session,
  type SessionView,
  type TurnView,
} from '@parley/client'
import { useState, useSyncExternalStore } from 'react'
import { perFrame, type Source } from './per-frame.ts'

const NO_SESSION: Source<SessionView> = constant(newSession(''))
const NO_PRESENCE: Source<PresenceView> = constant({ members: [], count: 0 })

/**
 * A part of the session's state.
 * @param select must return the same object for the same view
 * @example
 * const title = useSessionState(session, (view) => view.title)
 */
export function useSessionState<T>(session: Session | undefined, select: (view: SessionView) => T): T {
  return useSource(session === undefined ? NO_SESSION : perFrame(session), select, NO_SESSION.getSnapshot())
}

/**
 * The shown conversation: a turn for each message, with its id in `turn.message.id`. The array and the turns stay the
 * same objects while only answers grow, so `turn.run` may be older than the session's: read the answer with `useRun`.
 * @example
 * {useMessages(session).map((turn) => <Turn key={turn.message.id} session={session} turn={turn} />)}
 */
export function useMessages(session: Session | undefined): readonly TurnView[] {
  const [keep] = useState(keepTurns)
  return useSessionState(session, (view) => keep(view.turns))
}

/**
 * The run that answers a turn, or the run with this id.
 * @example
 * const run = useRun(session, turn)
 * return <p>{run?.text}</p>
 */
export function useRun(session: Session | undefined, of: TurnView | string | undefined): RunView | undefined {
  return useSessionState(session, (view) => {
    if (typeof of === 'object') return of.kind === 'message' ? answerOf(view, of.message) : undefined
    return of === undefined ? undefined : view.runs.get(of)
  })
}

/**
 * The run that generates now, or is next to. The component renders with each token. To know only whether there is one, use
 * `useSessionState(session, (view) => view.activeRun !== undefined)`.
 * @example
 * const run = useActiveRun(session)
 */
export function useActiveRun(session: Session | undefined): RunView | undefined {
  return useSessionState(session, ({ activeRun, runs }) => (activeRun === undefined ? undefined : runs.get(activeRun)))
}

/**
 * A tool call, whose id is in a `tool` part of a run.
 * @example
 * const call = useCall(session, part.call)
 * return call?.status === 'deciding' ? <button onClick={() => session.decide(call.id, 'approve')}>Approve</button> : null
 */
export function useCall(session: Session | undefined, id: string): CallView | undefined {
  return useSessionState(session, (view) => view.calls.get(id))
}

/**
 * The connected members.
 * @example
 * const { members, count } = usePresence(session)
 */
export function usePresence(session: Session | undefined): PresenceView {
  return useSource(
    session === undefined ? NO_PRESENCE : perFrame(session.presence),
    (view) => view,
    NO_PRESENCE.getSnapshot(),
  )
}

/**
 * The state of the client's connection, or a part of it.
 * @example
 * const isOffline = useConnection(client, ({ status }) => status === 'waiting')
 */
export function useConnection(client: ParleyClient): ConnectionState
export function useConnection<T>(client: ParleyClient, select: (state: ConnectionState) => T): T
export function useConnection(client: ParleyClient, select = (state: ConnectionState): unknown => state): unknown {
  return useSource(perFrame(client), select, IDLE)
}

/** @param initial what a server renders, and a browser at first from its HTML */
function useSource<S, T>(source: Source<S>, select: (state: S) => T, initial: S): T {
  return useSyncExternalStore(
    source.subscribe,
    () => select(source.getSnapshot()),
    () => select(initial),
  )
}

function constant<T>(state: T): Source<T> {
  return { getSnapshot: () => state, subscribe: () => () => undefined }
}

/** A function that returns earlier turns, and an earlier array, for turns that differ only in their runs. */
function keepTurns(): (turns: readonly TurnView[]) => readonly TurnView[] {
  let kept: readonly TurnView[] = []
  return (turns) => {
    const next = turns.map((turn, at) => {
      const before = kept[at]
      const isSame =
        before?.message === turn.message && before.after === turn.after && before.versions === turn.versions
      return isSame ? before : turn
    })
    if (next.length !== kept.length || next.some((turn, at) => turn !== kept[at])) kept = next
    return kept
  }
}
