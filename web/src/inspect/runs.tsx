// Runs: each run of the session as a lane, from its message to its end, drawn and in words, with its child runs below it. The run of the selected
// entry stays visible.
import { memo, useEffect, useRef } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { VirtualListItem } from '../shared/virtual-list-item.tsx'
import { clockOf, span } from './entry-note.ts'
import { Lane } from './lane.tsx'
import { drawLane, endOf, wordsOf } from './lane-drawing.ts'
import { nested, type RunLane } from './run-lane.ts'
import { useInspection, useInspectionState } from './use-inspection.ts'

export function Runs() {
  const timeline = useInspectionState((state) => state.timeline)
  const count = useInspectionState((state) => state.count)
  const at = useInspectionState((state) => state.at)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const lanes = nested(timeline.lanes.values())
  const now = timeline.entry(count - 1)?.time ?? 0
  const time = timeline.entry(at)?.time ?? 0
  const event = timeline.entry(at)?.event
  const selected = event !== undefined && 'run' in event ? event.run : undefined
  const current = lanes.findIndex(({ lane }) => lane.run === selected)
  useEffect(() => {
    if (current >= 0) list.current?.scrollToIndex(current, { align: 'nearest' })
  }, [current])
  return (
    <section className='panel runs' aria-labelledby='runs-title'>
      <h2 id='runs-title'>Runs</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable box must be reachable by keyboard. */}
      <section className='panel-box' ref={box} tabIndex={0} aria-label='List of runs'>
        {lanes.length === 0 ? <p className='empty'>No runs yet.</p> : null}
        <Virtualizer ref={list} as='ol' item={VirtualListItem} data={lanes} scrollRef={box} bufferSize={400}>
          {({ lane, level }, index) => (
            <RunItem
              key={lane.run}
              lane={lane}
              level={level}
              // A constant for an ended run, so that it does not render again.
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
  /** 0, or more for a child run. */
  readonly level: number
  readonly now: number
  /** The time of the selected entry, if it belongs to this run. */
  readonly time: number | undefined
}

const RunItem = memo(function RunItem({ lane, level, now, time }: Props) {
  const inspection = useInspection()
  const drawing = drawLane(lane, now)
  const words = wordsOf(lane, now)
  const reason = lane.end?.reason ?? 'open'
  return (
    <div className='run-slot' data-level={Math.min(level, LEVELS_MAX)}>
      <article className='run' aria-current={time !== undefined}>
        <h3>
          <button type='button' className='link' onClick={() => inspection.goTo(lane.from)}>
            {lane.run}
          </button>
          <span className={`chip ${reason}`}>{endOf(lane)}</span>
        </h3>
        <p className='run-about'>
          {clockOf(lane.startAt)}, {span(drawing.length)}
          {lane.author === undefined ? '' : `, from ${lane.author}`}
          {lane.model === undefined ? '' : `, ${lane.model}`}
          {lane.agents.length === 0 ? '' : `, ${lane.agents.join(' to ')}`}
          {lane.parent === undefined ? '' : `, child of ${lane.parent.run}`}
        </p>
        <Lane drawing={drawing} words={words.join(' ')} time={time} />
        <p className='run-words'>{words.join(' ')}</p>
        <button type='button' className='link' onClick={() => inspection.goTo(lane.to)}>
          Go to last entry
        </button>
      </article>
    </div>
  )
})

/** Deeper ones are indented alike. */
const LEVELS_MAX = 4

const KINDS = [
  ['queued', 'queued'],
  ['running', 'running'],
  ['silent', 'no heartbeat'],
  ['unknown', 'compacted'],
  ['deciding', 'waiting for approval'],
  ['offered', 'waiting for a device'],
  ['executing', 'tool running'],
  ['failed', 'tool failed'],
] as const

const MARKS = [
  ['first', 'first output'],
  ['failover', 'failover'],
] as const

function Legend() {
  return (
    <ul className='legend' aria-label='Legend'>
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
