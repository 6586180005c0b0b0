// Runs: each run of the session as a lane of its own, from its message to its end, in drawing and in words. The one that the
// page stands in is kept in sight.
import { memo, useEffect, useRef } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { ListPlace } from '../shared/list-place.tsx'
import { clockOf, span } from './entry-note.ts'
import { Lane } from './lane.tsx'
import { drawLane, endOf, wordsOf } from './lane-drawing.ts'
import type { RunLane } from './run-lane.ts'
import { useInspection, useShown } from './use-inspection.ts'

export function Runs() {
  const timeline = useShown((state) => state.timeline)
  const count = useShown((state) => state.count)
  const at = useShown((state) => state.at)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const lanes = [...timeline.lanes.values()]
  const now = timeline.entry(count - 1)?.time ?? 0
  const time = timeline.entry(at)?.time ?? 0
  const event = timeline.entry(at)?.event
  const named = event !== undefined && 'run' in event ? event.run : undefined
  const current = lanes.findIndex(({ run }) => run === named)
  useEffect(() => {
    if (current >= 0) list.current?.scrollToIndex(current, { align: 'nearest' })
  }, [current])
  return (
    <section className='panel runs' aria-labelledby='runs-title'>
      <h2 id='runs-title'>Runs</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <section className='panel-box' ref={box} tabIndex={0} aria-label='List of runs'>
        {lanes.length === 0 ? <p className='nothing'>Nobody has said anything yet.</p> : null}
        <Virtualizer ref={list} as='ol' item={ListPlace} data={lanes} scrollRef={box} bufferSize={400}>
          {(lane, index) => (
            <RunItem
              key={lane.run}
              lane={lane}
              // What has ended is drawn the same whatever comes later.
              now={lane.end === undefined ? now : 0}
              time={index === current ? time : undefined}
            />
          )}
        </Virtualizer>
      </section>
      <Legend />
    </section>
  )
}

interface Props {
  readonly lane: RunLane
  readonly now: number
  /** Where the page stands, when it is in this run. */
  readonly time: number | undefined
}

const RunItem = memo(function RunItem({ lane, now, time }: Props) {
  const inspection = useInspection()
  const drawing = drawLane(lane, now)
  const words = wordsOf(lane, now)
  const reason = lane.end?.reason ?? 'open'
  return (
    <div className='run-slot'>
      <article className='run' aria-current={time !== undefined}>
        <h3>
          <button type='button' className='link' onClick={() => inspection.goTo(lane.from)}>
            {lane.run}
          </button>
          <span className={`chip ${reason}`}>{lane.end === undefined ? 'unfinished' : endOf(lane)}</span>
        </h3>
        <p className='run-about'>
          {clockOf(lane.startAt)}, {span(drawing.length)}
          {lane.author === undefined ? '' : `, for ${lane.author}`}
          {lane.model === undefined ? '' : `, ${lane.model}`}
        </p>
        <Lane drawing={drawing} words={words.join(' ')} time={time} />
        <p className='run-words'>{words.join(' ')}</p>
        <button type='button' className='link' onClick={() => inspection.goTo(lane.to)}>
          Go to its last entry
        </button>
      </article>
    </div>
  )
})

const KINDS = [
  ['waits', 'waits for its turn'],
  ['drives', 'driven by an owner'],
  ['silent', 'nothing heard of it'],
  ['unknown', 'rolled up: not known'],
  ['decides', 'waits for a decision'],
  ['offered', 'on offer'],
  ['executes', 'tool runs'],
  ['failed', 'tool failed'],
] as const

const MARKS = [
  ['first', 'first output'],
  ['take-over', 'taken over'],
] as const

function Legend() {
  return (
    <ul className='legend' aria-label='Colours'>
      {KINDS.map(([kind, text]) => (
        <li key={kind}>
          <svg aria-hidden='true' focusable='false' width='14' height='10'>
            <rect className={`bar ${kind}`} width='14' height='10' rx='2' />
          </svg>{' '}
          {text}
        </li>
      ))}
      {MARKS.map(([kind, text]) => (
        <li key={kind}>
          <svg aria-hidden='true' focusable='false' width='6' height='10'>
            <line className={`mark ${kind}`} x1='3' x2='3' y1='0' y2='10' />
          </svg>{' '}
          {text}
        </li>
      ))}
    </ul>
  )
}
