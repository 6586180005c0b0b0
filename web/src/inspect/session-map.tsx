// SessionMap: all runs over all entries, in the places that the slider below it has. A picture only: what it shows, the list
// of runs tells in words.
import { memo } from 'react'
import { type MappedRun, mapRuns } from './map-runs.ts'
import { useInspection, useShown } from './use-inspection.ts'

const ROWS_MAX = 4

export function SessionMap() {
  const inspection = useInspection()
  const timeline = useShown((state) => state.timeline)
  const first = useShown((state) => state.first)
  const count = useShown((state) => state.count)
  const at = useShown((state) => state.at)
  const runs = mapRuns(timeline.lanes.values(), first, count, ROWS_MAX)
  const rows = 1 + runs.reduce((most, { row }) => Math.max(most, row), 0)
  const length = Math.max(1, count - 1 - first)
  const here = `${(100 * Math.max(0, at - first)) / length}%`
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
      <svg aria-hidden='true' focusable='false' width='100%' height='100%'>
        {runs.map((run) => (
          <MapBar key={run.run} {...run} rows={rows} />
        ))}
        <line className='map-here' x1={here} x2={here} y1='0' y2='100%' />
      </svg>
    </div>
  )
}

const MapBar = memo(function MapBar({ run, from, to, row, reason, rows }: MappedRun & { readonly rows: number }) {
  const height = 100 / rows
  return (
    <rect
      className={`map-run ${reason}`}
      x={`${100 * from}%`}
      width={`${100 * (to - from)}%`}
      y={`${row * height + 4}%`}
      height={`${height - 8}%`}
      rx='2'
    >
      <title>{`${run}: ${reason}`}</title>
    </rect>
  )
})
