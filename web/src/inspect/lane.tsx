// Lane: draws a run: one line for its attempts, and one for each tool call. Positions are percentages of the width, so
// that nothing has to be measured.
import type { Bar, LaneDrawing } from './lane-drawing.ts'

interface Props {
  readonly drawing: LaneDrawing
  /** The description for screen readers. */
  readonly words: string
  /** The time of the selected entry, if it belongs to this run. */
  readonly time: number | undefined
}

const LINE = 20
const CALL = 16

export function Lane({ drawing, words, time }: Props) {
  const { bars, marks, calls, more } = drawing
  const height = LINE + calls.length * CALL + (more > 0 ? CALL : 0) + 4
  const selected = time === undefined ? undefined : drawing.positionOf(time)
  return (
    <svg className='lane' role='img' aria-label={words} width='100%' height={height}>
      {bars.map((bar) => toBar(bar, 2, LINE - 6))}
      {marks.map(({ kind, at, label }) => (
        <line key={`${kind} ${at}`} className={`mark ${kind}`} x1={percent(at)} x2={percent(at)} y1='0' y2={LINE - 2}>
          <title>{label}</title>
        </line>
      ))}
      {calls.map((call, row) => (
        <g key={call.call}>{call.bars.map((bar) => toBar(bar, LINE + row * CALL + 2, CALL - 6))}</g>
      ))}
      {more > 0 ? (
        <text className='lane-more' x='0' y={LINE + calls.length * CALL + 12}>{`and ${more} more tool calls`}</text>
      ) : null}
      {selected === undefined ? null : (
        <line className='lane-selected' x1={percent(selected)} x2={percent(selected)} y1='0' y2={height} />
      )}
    </svg>
  )
}

function toBar({ kind, from, to, label }: Bar, y: number, height: number) {
  return (
    <rect
      key={`${kind} ${from} ${to}`}
      className={`bar ${kind}`}
      x={percent(from)}
      width={percent(to - from)}
      y={y}
      height={height}
      rx='2'
    >
      <title>{label}</title>
    </rect>
  )
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(3)}%`
}
