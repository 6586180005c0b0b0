// SessionMap: all runs over all entries, aligned with the slider below. It is decorative: the list of runs has the same
// information in words. Its unit is an entry, so that an ended run is drawn only once.
import { memo } from 'react'
import { type MappedRun, mapRuns } from './map-runs.ts'
import { useInspection, useInspectionState } from './use-inspection.ts'

const ROWS_MAX = 4
const HEIGHT = 100
/** Free space above and below a bar. */
const MARGIN = 4

export function SessionMap() {
  const inspection = useInspection()
  const timeline = useInspectionState((state) => state.timeline)
  const first = useInspectionState((state) => state.first)
  const count = useInspectionState((state) => state.count)
  const at = useInspectionState((state) => state.at)
  const runs = mapRuns(timeline.lanes.values(), first, count, ROWS_MAX)
  const rows = 1 + runs.reduce((most, { row }) => Math.max(most, row), 0)
  const length = Math.max(1, count - 1 - first)
  const selected = Math.max(first, at)
  return (
    // Keyboard users have the slider.
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
        <line className='map-selected' x1={selected} x2={selected} y1='0' y2={HEIGHT} />
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
      y={row * height + MARGIN}
      height={height - 2 * MARGIN}
    >
      <title>{runs === 1 ? `${run}: ${reason}` : `${runs} runs, first ${run}: ${reason}`}</title>
    </rect>
  )
})
