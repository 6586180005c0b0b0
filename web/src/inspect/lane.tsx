// Lane: the drawing of a run: a line for who drove it and a line for each tool call. Places are per cent of the width, so that
// it needs no measuring.
import type { Bar, LaneDrawing } from './lane-drawing.ts'

interface Props {
  readonly drawing: LaneDrawing
  /** What it shows, for who does not see it. */
  readonly words: string
  /** Where the page stands; undefined when that is in no entry of this run. */
  readonly time: number | undefined
}

const LINE = 20
const CALL = 16

export function Lane({ drawing, words, time }: Props) {
  const { bars, marks, calls, more } = drawing
  const height = LINE + calls.length * CALL + (more > 0 ? CALL : 0) + 4
  const here = time === undefined ? undefined : drawing.place(time)
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
      {here === undefined ? null : (
        <line className='lane-here' x1={percent(here)} x2={percent(here)} y1='0' y2={height} />
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

function percent(part: number): string {
  return `${(100 * part).toFixed(3)}%`
}
