// ConversationSnapshot: the conversation after the selected entry. Everything in it is plain text, exactly as the log
// has it: Markdown is not rendered.
import {
  answerOf,
  type CallView,
  childRuns,
  type MessageView,
  type RunPart,
  type RunView,
  type SessionView,
} from '@parley/client'
import { memo, type ReactNode, useEffect, useRef } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { callNote, decisionNote, formatText, formatValue, toJson } from '../conversation/call-note.ts'
import { callsOf } from '../conversation/calls-of.ts'
import { runNote } from '../conversation/run-note.ts'
import { displayText } from '../shared/display-text.ts'
import { BROKEN_PART, ErrorBoundary } from '../shared/error-boundary.tsx'
import { LongText } from '../shared/long-text.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { VirtualListItem } from '../shared/virtual-list-item.tsx'
import { clockOf } from './entry-note.ts'
import type { InspectionState } from './inspection.ts'
import type { LogEntry } from './run-lane.ts'
import { useInspectionState } from './use-inspection.ts'

export function ConversationSnapshot() {
  const view = useInspectionState(({ timeline, at }) => timeline.viewAt(at))
  const entry = useInspectionState(({ timeline, at }) => timeline.entry(at))
  const compacted = useInspectionState(isCompacted)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const { messages } = view
  const turn = turnOf(view, entry)
  useEffect(() => {
    // Keep the entry's turn visible. The end of the turn, because an answer grows there.
    if (entry !== undefined && turn >= 0) list.current?.scrollToIndex(turn, { align: 'end' })
  }, [entry, turn])
  return (
    <section className='panel snapshot' aria-labelledby='snapshot-title'>
      <h2 id='snapshot-title'>Conversation at this entry</h2>
      {compacted ? <p className='hint'>This part was compacted; the answer appears at its end.</p> : null}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable box must be reachable by keyboard. */}
      <section className='panel-box' ref={box} tabIndex={0} aria-label='Messages and answers'>
        {messages.length === 0 ? <p className='empty'>No messages yet.</p> : null}
        <Virtualizer ref={list} as='ol' item={VirtualListItem} data={messages} scrollRef={box} bufferSize={600}>
          {(message, index) => {
            const run = answerOf(view, message)
            const children = run === undefined ? [] : childRuns(view, run)
            const branch = branchOf(message, messages[index - 1])
            return (
              <ErrorBoundary key={message.id} fallback={BROKEN_PART}>
                <Turn
                  message={message}
                  branch={branch}
                  run={run}
                  answers={children}
                  calls={run === undefined ? NONE : [run, ...children].flatMap((each) => callsOf(view, each))}
                />
              </ErrorBoundary>
            )
          }}
        </Virtualizer>
      </section>
    </section>
  )
}

const NONE: readonly CallView[] = []

function isCompacted({ timeline, at }: InspectionState): boolean {
  const event = timeline.entry(at)?.event
  return event !== undefined && 'run' in event && timeline.lanes.get(event.run)?.compacted === true
}

/** The index of the entry's turn; of the last turn if the entry belongs to none. */
function turnOf({ messages, runs }: SessionView, entry: LogEntry | undefined): number {
  const event = entry?.event
  if (event === undefined || !('run' in event)) return messages.length - 1
  const id = event.type === 'message' ? event.id : answering(runs, event.run)?.message
  return id === undefined ? messages.length - 1 : messages.findLastIndex((message) => message.id === id)
}

/** The run itself; of a child run, the one that answers a message. */
function answering(runs: SessionView['runs'], id: string): RunView | undefined {
  let run = runs.get(id)
  for (let parent = run?.parent; parent !== undefined; parent = run?.parent) run = runs.get(parent.run)
  return run
}

/** Where a message branches off, in words; undefined if it follows the previous message in the log. */
function branchOf({ parent }: MessageView, before: MessageView | undefined): string | undefined {
  if (parent === undefined || parent === (before?.id ?? null)) return undefined
  return parent === null ? 'starts a new branch' : `branches from ${parent}`
}

interface TurnProps {
  readonly message: MessageView
  readonly branch: string | undefined
  readonly run: RunView | undefined
  /** Its child runs, at all levels. */
  readonly answers: readonly RunView[]
  /** Of the run and its child runs. */
  readonly calls: readonly CallView[]
}

const Turn = memo(
  function Turn({ message, branch, run, answers, calls }: TurnProps) {
    return (
      <div className='snapshot-turn'>
        <div className='snapshot-message'>
          <p className='snapshot-head'>
            <strong>{message.author}</strong> {clockOf(message.time)}
            {message.agent === undefined ? '' : `, to ${message.agent}`}
            {message.policy === 'queue' ? '' : `, ${message.policy}`}
            {branch === undefined ? '' : `, ${branch}`}
          </p>
          <p className='snapshot-text' dir='auto'>
            <LongText text={displayText(message.text)} />
          </p>
        </div>
        {run === undefined ? null : <SnapshotAnswer run={run} known={{ answers, calls }} />}
      </div>
    )
  },
  (before, after) =>
    before.message === after.message &&
    before.branch === after.branch &&
    before.run === after.run &&
    isSame(before.answers, after.answers) &&
    isSame(before.calls, after.calls),
)

function isSame(before: readonly unknown[], after: readonly unknown[]): boolean {
  return before.length === after.length && before.every((item, at) => item === after[at])
}

type Known = Pick<TurnProps, 'answers' | 'calls'>

function SnapshotAnswer({ run, known }: { readonly run: RunView; readonly known: Known }) {
  const own = known.calls.filter((call) => call.run === run.id)
  const { tone, text } = runNote(run, own, undefined)
  return (
    <div className='snapshot-answer' data-run={run.id} data-status={run.status}>
      {run.parts.map((part, at) => toPart(part, at, known))}
      <p className={`snapshot-note ${tone}`}>
        {run.agent === undefined ? '' : `${run.agent}: `}
        {text}
      </p>
    </div>
  )
}

/** @param at the index, which is a stable key: parts are only appended */
function toPart(part: RunPart, at: number, known: Known): ReactNode {
  switch (part.type) {
    case 'text':
      return (
        <p key={at} className='snapshot-text' dir='auto'>
          <LongText text={displayText(part.text)} />
        </p>
      )
    case 'reasoning':
      return (
        <p key={at} className='snapshot-text snapshot-reasoning' dir='auto'>
          <span className='snapshot-label'>Reasoning</span> <LongText text={displayText(part.text)} />
        </p>
      )
    case 'tool':
      return (
        <SnapshotCall key={at} name={part.name} call={known.calls.find(({ id }) => id === part.call)} known={known} />
      )
    case 'message':
      return (
        <p key={at} className='snapshot-label'>
          New message added here
        </p>
      )
    case 'input':
      return (
        <p key={at} className='snapshot-text' dir='auto'>
          <span className='snapshot-label'>Input of {part.name}</span> <LongText text={displayText(part.text)} />
        </p>
      )
    case 'data':
    case 'source':
    case 'file':
      return (
        <p key={at} className='snapshot-text' dir='auto'>
          <span className='snapshot-label'>{labelOf(part)}</span>{' '}
          <LongText text={displayText(part.type === 'data' ? toJson(part.data) : (part.url ?? ''))} />
        </p>
      )
  }
}

function labelOf(part: Extract<RunPart, { type: 'data' | 'source' | 'file' }>): string {
  if (part.type === 'data') return `Data ${part.name}`
  return part.type === 'source' ? (part.title ?? 'Source') : (part.name ?? part.mediaType)
}

interface CallProps {
  readonly name: string
  readonly call: CallView | undefined
  readonly known: Known
}

function SnapshotCall({ name, call, known }: CallProps) {
  if (call === undefined) return <p className='snapshot-label'>{name}</p>
  const decision = decisionNote(call, undefined)
  const output = call.status === 'completed' ? formatValue(call.output) : undefined
  const result = call.error === undefined ? output : formatText(call.error)
  const child = known.answers.find(({ id }) => id === call.child?.run)
  return (
    <div className='snapshot-call' data-status={call.status}>
      <p>
        <span className='code'>{name}</span> {callNote(call, undefined).text}
        {decision === undefined ? '' : `; ${decision}`}
      </p>
      <ScrollBox className='snapshot-value' label={`Input of ${name}`}>
        <pre>{formatValue(call.input)}</pre>
      </ScrollBox>
      {child === undefined ? null : <SnapshotAnswer run={child} known={known} />}
      {result === undefined ? null : (
        <ScrollBox className='snapshot-value' label={`Result of ${name}`}>
          <pre>{result}</pre>
        </ScrollBox>
      )}
    </div>
  )
}
