// RunLane: the history of one run in the log: its time in the queue, its attempts, its tool calls and its end, and
// whether compaction has dropped a part. Pure: `applyToLane` takes a lane and the next entry of its run.
import type { EntryFrame, EventOf, ParentCall, RunEnded, RunError } from '@parley/protocol'

export type LogEntry = Pick<EntryFrame, 'cursor' | 'time' | 'event'>

/** One attempt of the run, by one driver. */
export interface LaneAttempt {
  /** From 1. On the wire it is the run's `epoch`. */
  readonly attempt: number
  /** The driver's node; undefined if the log does not name it. */
  readonly node: string | undefined
  /** Undefined if compaction has dropped the start of the attempt. */
  readonly mode: 'new' | 'continue' | 'restart' | undefined
  /** Unix milliseconds. */
  readonly at: number
  /** The last entry of the run before the next attempt; undefined for the last attempt. */
  readonly until?: number
}

export interface LaneCall {
  readonly call: string
  readonly name: string
  readonly where: 'client' | 'server'
  readonly approval: boolean
  /** Each in Unix milliseconds. */
  readonly calledAt: number
  readonly decided: { readonly at: number; readonly decision: 'approve' | 'deny'; readonly by: string } | undefined
  readonly claims: readonly { readonly at: number; readonly connection: string }[]
  readonly result: { readonly at: number; readonly failed: boolean; readonly by: string } | undefined
}

export interface LaneEnd {
  readonly at: number
  readonly reason: RunEnded['reason']
  readonly by: string | undefined
  readonly error: RunError | undefined
  readonly outputTokens: number
}

export interface RunLane {
  readonly run: string
  /** Indexes of the run's first and last entries. */
  readonly from: number
  readonly to: number
  /** The message that it answers, if it is known. */
  readonly message: string | undefined
  readonly author: string | undefined
  /** The time of its message, else of its first entry. Unix milliseconds. */
  readonly startAt: number
  readonly lastAt: number
  readonly model: string | undefined
  /** The agents that answered, in order: another one after each hand-off. Empty: the server's default. */
  readonly agents: readonly string[]
  /** Only of a child run. */
  readonly parent: ParentCall | undefined
  /** Sorted. Compaction may have dropped the earliest ones. */
  readonly attempts: readonly LaneAttempt[]
  /** The time of the first output, unless compaction has dropped it. */
  readonly firstAt: number | undefined
  /** The number of outputs that are separate entries. */
  readonly separateOutputs: number
  /** The number of all outputs. */
  readonly outputs: number
  readonly calls: readonly LaneCall[]
  readonly end: LaneEnd | undefined
  /** Whether some outputs exist only as a whole text, without their times. */
  readonly compacted: boolean
}

export interface LaneMessage {
  readonly id: string
  readonly author: string
  readonly time: number
  readonly index: number
}

type RunEvent = Extract<LogEntry['event'], { readonly run: string }>

export function newLane(run: string, index: number, time: number, message?: LaneMessage): RunLane {
  return {
    run,
    from: message?.index ?? index,
    to: index,
    message: message?.id,
    author: message?.author,
    startAt: message?.time ?? time,
    lastAt: time,
    model: undefined,
    agents: [],
    parent: undefined,
    attempts: [],
    firstAt: undefined,
    separateOutputs: 0,
    outputs: 0,
    calls: [],
    end: undefined,
    compacted: false,
  }
}

/** @param index of the entry */
export function applyToLane(before: RunLane, index: number, time: number, event: RunEvent): RunLane {
  const lane = { ...before, to: index, lastAt: Math.max(before.lastAt, time) }
  switch (event.type) {
    case 'message':
      return { ...lane, model: lane.model ?? event.model }
    case 'run.started':
      return {
        ...withAttempt(endAttempt(lane, before.lastAt), {
          attempt: event.epoch,
          node: event.owner,
          mode: event.mode,
          at: time,
        }),
        ...whoAnswers(lane, event),
        model: event.model,
        outputs: Math.max(lane.outputs, event.next),
      }
    case 'run.output': {
      const count = event.count ?? 1
      const separateOutputs = lane.separateOutputs + count
      return { ...lane, firstAt: lane.firstAt ?? time, separateOutputs, outputs: event.index + count }
    }
    case 'run.requested':
      return lane
    case 'run.handed':
      return { ...lane, ...whoAnswers(lane, { agent: event.to }) }
    case 'run.snapshot':
      return withSnapshot(lane, event)
    case 'run.ended': {
      const { reason, by, error, usage } = event
      // The log may repeat an end; the first one has the time of the end.
      const at = lane.end?.at ?? time
      return { ...withSnapshot(lane, event), end: { at, reason, by, error, outputTokens: usage.outputTokens } }
    }
    case 'tool.called':
    case 'tool.claimed':
    case 'tool.decided':
    case 'tool.result':
      return { ...lane, calls: applyToCalls(lane.calls, time, event) }
    default:
      // Questions, progress, and events of a newer server.
      return lane
  }
}

/** Applies the entry that replaces compacted entries. It describes the start of the last attempt only. */
function withSnapshot(lane: RunLane, event: EventOf<'run.snapshot' | 'run.ended'>): RunLane {
  const { epoch, owner, startedAt, next, output } = event
  const known = epoch === undefined || startedAt === undefined || lane.attempts.some(({ attempt }) => attempt >= epoch)
  const complete = known
    ? lane
    : withAttempt(lane, { attempt: epoch, node: owner, mode: epoch === 1 ? 'new' : undefined, at: startedAt })
  return {
    ...complete,
    ...whoAnswers(lane, event),
    model: event.model ?? lane.model,
    outputs: Math.max(lane.outputs, next),
    compacted: lane.compacted || (output !== undefined && lane.separateOutputs < next),
  }
}

function whoAnswers(
  lane: RunLane,
  { agent, parent }: { readonly agent?: string | undefined; readonly parent?: ParentCall | undefined },
): Pick<RunLane, 'agents' | 'parent'> {
  const isSame = agent === undefined || agent === lane.agents.at(-1)
  return { agents: isSame ? lane.agents : [...lane.agents, agent], parent: parent ?? lane.parent }
}

/** @param until the time of the last attempt's last entry */
function endAttempt(lane: RunLane, until: number): RunLane {
  const last = lane.attempts.at(-1)
  return last === undefined ? lane : { ...lane, attempts: [...lane.attempts.slice(0, -1), { ...last, until }] }
}

function withAttempt(lane: RunLane, added: LaneAttempt): RunLane {
  const attempts = [...lane.attempts.filter(({ attempt }) => attempt !== added.attempt), added]
  return { ...lane, attempts: attempts.sort((a, b) => a.attempt - b.attempt) }
}

function applyToCalls(
  calls: readonly LaneCall[],
  at: number,
  event: EventOf<'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.result'>,
): readonly LaneCall[] {
  if (event.type === 'tool.called') {
    // The call is offered again after the claiming device has disconnected.
    if (calls.some(({ call }) => call === event.call)) return calls
    const { call, name, where, approval } = event
    return [...calls, { call, name, where, approval, calledAt: at, decided: undefined, claims: [], result: undefined }]
  }
  return calls.map((call) => (call.call === event.call && call.result === undefined ? withStep(call, at, event) : call))
}

function withStep(
  call: LaneCall,
  at: number,
  event: EventOf<'tool.claimed' | 'tool.decided' | 'tool.result'>,
): LaneCall {
  switch (event.type) {
    case 'tool.claimed': {
      // A device renews its claim; only a claim by another device is new.
      if (call.claims.at(-1)?.connection === event.connection) return call
      return { ...call, claims: [...call.claims, { at, connection: event.connection }] }
    }
    case 'tool.decided':
      return { ...call, decided: { at, decision: event.decision, by: event.by } }
    case 'tool.result':
      return { ...call, result: { at, failed: event.error !== undefined, by: event.by } }
  }
}

/** Each lane, followed by those of its child runs, with its level: 0 for a run that answers a message. */
export function nested(lanes: Iterable<RunLane>): readonly { readonly lane: RunLane; readonly level: number }[] {
  const all = [...lanes]
  const known = new Set(all.map(({ run }) => run))
  const below = new Map<string | undefined, RunLane[]>()
  for (const lane of all) {
    const of = lane.parent !== undefined && known.has(lane.parent.run) ? lane.parent.run : undefined
    const siblings = below.get(of)
    if (siblings === undefined) below.set(of, [lane])
    else siblings.push(lane)
  }
  const listed = (of: string | undefined, level: number): { lane: RunLane; level: number }[] =>
    (below.get(of) ?? []).flatMap((lane) => [{ lane, level }, ...listed(lane.run, level + 1)])
  return listed(undefined, 0)
}
