// RunLane: what a session's entries tell of one run over time: how long it waited, who drove it from when to when, its tool
// calls, its end; and what a roll-up has taken away. Pure: `foldLane` takes a lane and the next entry of its run.
import type { EntryFrame, EventOf, RunEnded, RunError } from '@parley/protocol'

/** An entry of the log, as doors send it. */
export type LogEntry = Pick<EntryFrame, 'cursor' | 'time' | 'event'>

export interface LaneOwner {
  readonly epoch: number
  /** Undefined where the log does not tell. */
  readonly node: string | undefined
  /** Undefined where a roll-up took its start away: then only a later entry tells of it. */
  readonly mode: 'new' | 'continue' | 'restart' | undefined
  /** Unix milliseconds. */
  readonly at: number
  /** When the log last heard of the run before another owner took it over; undefined for the last owner. */
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
  /** Indexes of the first and the last entry that tell of it. */
  readonly from: number
  readonly to: number
  /** The message that it answers, where it is known. */
  readonly message: string | undefined
  readonly author: string | undefined
  /** When its message came; else when the log first tells of it. Unix milliseconds. */
  readonly startAt: number
  readonly lastAt: number
  readonly model: string | undefined
  /** In the order of their epochs; of those before the first one nothing is known. */
  readonly owners: readonly LaneOwner[]
  /** When its first output came, where that is still an entry of its own. */
  readonly firstAt: number | undefined
  /** Outputs that came as entries, and all that it used. */
  readonly told: number
  readonly outputs: number
  readonly calls: readonly LaneCall[]
  readonly end: LaneEnd | undefined
  /** Some of its outputs are there as a whole only: when each of them came is not known any more. */
  readonly rolledUp: boolean
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
    owners: [],
    firstAt: undefined,
    told: 0,
    outputs: 0,
    calls: [],
    end: undefined,
    rolledUp: false,
  }
}

/** @param index of the entry */
export function foldLane(before: RunLane, index: number, time: number, event: RunEvent): RunLane {
  const lane = { ...before, to: index, lastAt: Math.max(before.lastAt, time) }
  switch (event.type) {
    case 'message':
      return { ...lane, model: lane.model ?? event.model }
    case 'run.started':
      return {
        ...withOwner(silenced(lane, before.lastAt), {
          epoch: event.epoch,
          node: event.owner,
          mode: event.mode,
          at: time,
        }),
        model: event.model,
        outputs: Math.max(lane.outputs, event.next),
      }
    case 'run.output': {
      const count = event.count ?? 1
      const told = lane.told + count
      return { ...lane, firstAt: lane.firstAt ?? time, told, outputs: event.index + count }
    }
    case 'run.snapshot':
      return withWhole(lane, event)
    case 'run.ended': {
      const { reason, by, error, usage } = event
      // What repeats an end comes later than it.
      const at = lane.end?.at ?? time
      return { ...withWhole(lane, event), end: { at, reason, by, error, outputTokens: usage.outputTokens } }
    }
    case 'tool.called':
    case 'tool.claimed':
    case 'tool.decided':
    case 'tool.result':
      return { ...lane, calls: foldCalls(lane.calls, time, event) }
  }
}

/** What stands for entries that a roll-up took away: of the run's start it tells the last. */
function withWhole(lane: RunLane, event: EventOf<'run.snapshot' | 'run.ended'>): RunLane {
  const { epoch, owner, startedAt, next, output } = event
  const known = epoch === undefined || startedAt === undefined || lane.owners.some((other) => other.epoch >= epoch)
  const owned = known
    ? lane
    : withOwner(lane, { epoch, node: owner, mode: epoch === 1 ? 'new' : undefined, at: startedAt })
  return {
    ...owned,
    model: event.model ?? lane.model,
    outputs: Math.max(lane.outputs, next),
    rolledUp: lane.rolledUp || (output !== undefined && lane.told < next),
  }
}

/** The owner that there was is heard of no more. */
function silenced(lane: RunLane, until: number): RunLane {
  const last = lane.owners.at(-1)
  return last === undefined ? lane : { ...lane, owners: [...lane.owners.slice(0, -1), { ...last, until }] }
}

function withOwner(lane: RunLane, owner: LaneOwner): RunLane {
  const owners = [...lane.owners.filter(({ epoch }) => epoch !== owner.epoch), owner]
  return { ...lane, owners: owners.sort((a, b) => a.epoch - b.epoch) }
}

function foldCalls(
  calls: readonly LaneCall[],
  at: number,
  event: EventOf<'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.result'>,
): readonly LaneCall[] {
  if (event.type === 'tool.called') {
    // It comes again when a claimant was lost.
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
      // Claims are renewed; another one tells something only when it is somebody else's.
      if (call.claims.at(-1)?.connection === event.connection) return call
      return { ...call, claims: [...call.claims, { at, connection: event.connection }] }
    }
    case 'tool.decided':
      return { ...call, decided: { at, decision: event.decision, by: event.by } }
    case 'tool.result':
      return { ...call, result: { at, failed: event.error !== undefined, by: event.by } }
  }
}
