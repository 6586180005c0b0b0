// PastConversation: the conversation as it was after the entry that the page stands at. All of it is text: what models wrote
// is shown as it came, and nothing in it is made into anything else.
import type { CallView, MessageView, RunPart, RunView, SessionView } from '@parley/client'
import { memo, type ReactNode, useEffect, useRef } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { answerOf } from '../conversation/answer-of.ts'
import { callNote, decisionNote, shownValue } from '../conversation/call-note.ts'
import { runNote } from '../conversation/run-note.ts'
import { ListPlace } from '../shared/list-place.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { clockOf } from './entry-note.ts'
import type { InspectionState } from './inspection.ts'
import type { LogEntry } from './run-lane.ts'
import { useShown } from './use-inspection.ts'

export function PastConversation() {
  const view = useShown(({ timeline, at }) => timeline.viewAt(at))
  const entry = useShown(({ timeline, at }) => timeline.entry(at))
  const rolledUp = useShown(isRolledUp)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const { messages } = view
  const told = turnOf(view, entry)
  useEffect(() => {
    // What the entry tells of is kept in sight: an answer's end, as that is where it grows.
    if (entry !== undefined && told >= 0) list.current?.scrollToIndex(told, { align: 'end' })
  }, [entry, told])
  return (
    <section className='panel past' aria-labelledby='past-title'>
      <h2 id='past-title'>The conversation as it was</h2>
      {rolledUp ? (
        <p className='honest'>
          The log was rolled up here: before the end of this run it tells nothing of what was said in it, then all at
          once.
        </p>
      ) : null}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <section className='panel-box' ref={box} tabIndex={0} aria-label='Messages and answers'>
        {messages.length === 0 ? <p className='nothing'>Nothing had been said yet.</p> : null}
        <Virtualizer ref={list} as='ol' item={ListPlace} data={messages} scrollRef={box} bufferSize={600}>
          {(message, index) => {
            const run = answerOf(view, message)
            const branch = branchOf(message, messages[index - 1])
            return (
              <Turn
                key={message.id}
                message={message}
                branch={branch}
                run={run}
                calls={run === undefined ? NONE : callsOf(view, run)}
              />
            )
          }}
        </Virtualizer>
      </section>
    </section>
  )
}

const NONE: readonly CallView[] = []

function isRolledUp({ timeline, at }: InspectionState): boolean {
  const event = timeline.entry(at)?.event
  return event !== undefined && 'run' in event && timeline.lanes.get(event.run)?.rolledUp === true
}

/** The turn that an entry tells of; the last one where it tells of none. */
function turnOf({ messages, runs }: SessionView, entry: LogEntry | undefined): number {
  const event = entry?.event
  if (event === undefined || !('run' in event)) return messages.length - 1
  const id = event.type === 'message' ? event.id : runs.get(event.run)?.message
  return id === undefined ? messages.length - 1 : messages.findLastIndex((message) => message.id === id)
}

function callsOf(view: SessionView, run: RunView): readonly CallView[] {
  return run.parts.flatMap((part) => {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    return call === undefined ? [] : [call]
  })
}

/** Where it does not stand after the one before it in the log: where else, in words. */
function branchOf({ parent }: MessageView, before: MessageView | undefined): string | undefined {
  if (parent === undefined || parent === (before?.id ?? null)) return undefined
  return parent === null ? 'begins another branch' : `branches off after ${parent}`
}

interface TurnProps {
  readonly message: MessageView
  readonly branch: string | undefined
  readonly run: RunView | undefined
  readonly calls: readonly CallView[]
}

const Turn = memo(
  function Turn({ message, branch, run, calls }: TurnProps) {
    return (
      <div className='past-turn'>
        <div className='past-message'>
          <p className='past-head'>
            <strong>{message.author}</strong> {clockOf(message.time)}
            {message.policy === 'queue' ? '' : `, ${message.policy}`}
            {branch === undefined ? '' : `, ${branch}`}
          </p>
          <p className='past-text'>{message.text}</p>
        </div>
        {run === undefined ? null : <PastAnswer run={run} calls={calls} />}
      </div>
    )
  },
  (before, after) =>
    before.message === after.message &&
    before.branch === after.branch &&
    before.run === after.run &&
    before.calls.length === after.calls.length &&
    before.calls.every((call, at) => call === after.calls[at]),
)

function PastAnswer({ run, calls }: { readonly run: RunView; readonly calls: readonly CallView[] }) {
  const { tone, text } = runNote(run, calls, undefined)
  return (
    <div className='past-answer' data-run={run.id} data-status={run.status}>
      {run.parts.map((part, at) => toPart(part, at, calls))}
      <p className={`past-note ${tone}`}>{text}</p>
    </div>
  )
}

/** @param at its place, which is its key: parts are only ever added at the end */
function toPart(part: RunPart, at: number, calls: readonly CallView[]): ReactNode {
  switch (part.type) {
    case 'text':
      return (
        <p key={at} className='past-text'>
          {part.text}
        </p>
      )
    case 'reasoning':
      return (
        <p key={at} className='past-text past-reasoning'>
          <span className='past-label'>Reasoning</span> {part.text}
        </p>
      )
    case 'tool':
      return <PastCall key={at} name={part.name} call={calls.find(({ id }) => id === part.call)} />
    case 'message':
      return (
        <p key={at} className='past-label'>
          Here it took up a message that was sent meanwhile
        </p>
      )
  }
}

function PastCall({ name, call }: { readonly name: string; readonly call: CallView | undefined }) {
  if (call === undefined) return <p className='past-label'>{name}</p>
  const decision = decisionNote(call, undefined)
  const gave = call.error ?? (call.status === 'completed' ? shownValue(call.output) : undefined)
  return (
    <div className='past-call' data-status={call.status}>
      <p>
        <span className='code'>{name}</span> {callNote(call, undefined).text}
        {decision === undefined ? '' : `; ${decision}`}
      </p>
      <ScrollBox className='past-value' label={`Input of ${name}`}>
        <pre>{shownValue(call.input)}</pre>
      </ScrollBox>
      {gave === undefined ? null : (
        <ScrollBox className='past-value' label={`Result of ${name}`}>
          <pre>{gave}</pre>
        </ScrollBox>
      )}
    </div>
  )
}
