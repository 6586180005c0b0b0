// SessionMap: all runs over all entries, in the places that the slider below it has. A picture only: what it shows, the list
// of runs tells in words. Its unit is an entry, so that a run that has ended is drawn once, whatever comes after it.
import { memo } from 'react'
import { type MappedRun, mapRuns } from './map-runs.ts'
import { useInspection, useShown } from './use-inspection.ts'

const ROWS_MAX = 4
const HEIGHT = 100
/** Of a bar's height, above and below it. */
const SPARE = 4

export function SessionMap() {
  const inspection = useInspection()
  const timeline = useShown((state) => state.timeline)
  const first = useShown((state) => state.first)
  const count = useShown((state) => state.count)
  const at = useShown((state) => state.at)
  const runs = mapRuns(timeline.lanes.values(), first, count, ROWS_MAX)
  const rows = 1 + runs.reduce((most, { row }) => Math.max(most, row), 0)
  const length = Math.max(1, count - 1 - first)
  const here = Math.max(first, at)
  return (
    // Who has no mouse goes by the slider.
    // biome-ignore lint/a11y/useKeyWithClickEvents: as above
    // biome-ignore lint/a11y/noStaticElementInteractions: as above
    <div
      className='session-map'
      onClick={(event) => {
        const { left, width } = event.currentTarget.getBoundingClientRect()
        inspection.goTo(first + Math.round(((event.clientX - left) / width) * length))
      }}
    >
      <svg
        aria-hidden='true'
        focusable='false'
        width='100%'
        height='100%'
        viewBox={`${first} 0 ${length} ${HEIGHT}`}
        preserveAspectRatio='none'
      >
        {runs.map((run) => (
          <MapBar key={run.run} {...run} rows={rows} />
        ))}
        <line className='map-here' x1={here} x2={here} y1='0' y2={HEIGHT} />
      </svg>
    </div>
  )
}

const MapBar = memo(function MapBar({ run, runs, from, to, row, reason, rows }: MappedRun & { readonly rows: number }) {
  const height = HEIGHT / rows
  return (
    <rect
      className={`map-run ${reason}`}
      x={from}
      width={to - from}
      y={row * height + SPARE}
      height={height - 2 * SPARE}
    >
      <title>{runs === 1 ? `${run}: ${reason}` : `${runs} runs from ${run} on: ${reason}`}</title>
    </rect>
  )
})
