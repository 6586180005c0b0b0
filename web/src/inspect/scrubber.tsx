// Scrubber: where in the log the page stands: a map of the runs over all entries, and the means to go back and forth.
import type { KeyboardEvent } from 'react'
import { clockOf } from './entry-note.ts'
import { type InspectionState, SPEEDS, type Speed } from './inspection.ts'
import { SessionMap } from './session-map.tsx'
import { useInspection, useShown } from './use-inspection.ts'

/** Entries that a key goes with Shift. */
const STRIDES = 10

export function Scrubber() {
  const inspection = useInspection()
  const at = useShown((state) => state.at)
  const first = useShown((state) => state.first)
  const count = useShown((state) => state.count)
  const plays = useShown((state) => state.plays)
  const follows = useShown((state) => state.follows)
  const speed = useShown((state) => state.speed)
  const place = useShown(placeOf)
  const clock = useShown(clockAt)
  const empty = count === 0
  const onKey = (event: KeyboardEvent): void => {
    const way = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0
    if (event.key === ' ') inspection.play(!plays)
    else if (way !== 0 && event.shiftKey) inspection.goTo(at + way * STRIDES)
    else return
    event.preventDefault()
  }
  return (
    <section className='scrubber' aria-label='Time line'>
      <SessionMap />
      <input
        type='range'
        aria-label='Entry'
        aria-valuetext={place}
        min={first}
        max={Math.max(first, count - 1)}
        value={Math.max(at, first)}
        disabled={empty}
        onChange={(event) => inspection.goTo(Number(event.currentTarget.value))}
        onKeyDown={onKey}
      />
      <div className='controls'>
        <fieldset className='buttons' aria-label='Go'>
          <button type='button' className='button' disabled={at <= first} onClick={() => inspection.goTo(first)}>
            First
          </button>
          <button type='button' className='button' disabled={at <= first} onClick={() => inspection.goTo(at - 1)}>
            Back
          </button>
          <button type='button' className='button primary' disabled={empty} onClick={() => inspection.play(!plays)}>
            {plays ? 'Pause' : 'Play'}
          </button>
          <button type='button' className='button' disabled={at >= count - 1} onClick={() => inspection.goTo(at + 1)}>
            Forward
          </button>
        </fieldset>
        <label className='speed'>
          Speed{' '}
          <select value={speed} onChange={(event) => inspection.setSpeed(Number(event.currentTarget.value) as Speed)}>
            {SPEEDS.map((one) => (
              <option key={one} value={one}>
                {one}×
              </option>
            ))}
          </select>
        </label>
        <button
          type='button'
          className='button follow'
          aria-pressed={follows}
          onClick={() => inspection.follow(!follows)}
        >
          Follow live
        </button>
        <p className='place'>
          <span>{place}</span> <time>{clock}</time>
        </p>
      </div>
    </section>
  )
}

function placeOf({ at, count, first }: InspectionState): string {
  if (count === 0) return 'No entries'
  const gone = first === 0 ? '' : `, the oldest ${first.toLocaleString('en')} are no longer held here`
  return `Entry ${(at + 1).toLocaleString('en')} of ${count.toLocaleString('en')}${gone}`
}

function clockAt({ timeline, at }: InspectionState): string {
  const entry = timeline.entry(at)
  return entry === undefined ? '' : clockOf(entry.time)
}
