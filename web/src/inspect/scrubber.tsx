// Scrubber: selects an entry of the log: a map of the runs over all entries, a slider, and playback.
import type { KeyboardEvent } from 'react'
import { isInputMethodKey } from '../shared/input-method.ts'
import { clockOf } from './entry-note.ts'
import { type InspectionState, SPEEDS, type Speed } from './inspection.ts'
import { SessionMap } from './session-map.tsx'
import { useInspection, useInspectionState } from './use-inspection.ts'

/** Entries per arrow key with Shift. */
const SHIFT_STEP = 10

export function Scrubber() {
  const inspection = useInspection()
  const at = useInspectionState((state) => state.at)
  const first = useInspectionState((state) => state.first)
  const count = useInspectionState((state) => state.count)
  const plays = useInspectionState((state) => state.plays)
  const follows = useInspectionState((state) => state.follows)
  const speed = useInspectionState((state) => state.speed)
  const position = useInspectionState(positionText)
  const clock = useInspectionState(clockText)
  const empty = count === 0
  const onKey = (event: KeyboardEvent): void => {
    if (isInputMethodKey(event)) return
    const direction = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0
    if (event.key === ' ') inspection.play(!plays)
    else if (direction !== 0 && event.shiftKey) inspection.goTo(at + direction * SHIFT_STEP)
    else return
    event.preventDefault()
  }
  return (
    <section className='scrubber' aria-label='Timeline'>
      <SessionMap />
      <input
        type='range'
        aria-label='Entry'
        aria-valuetext={position}
        min={first}
        max={Math.max(first, count - 1)}
        value={Math.max(at, first)}
        disabled={empty}
        onChange={(event) => inspection.goTo(Number(event.currentTarget.value))}
        onKeyDown={onKey}
      />
      <div className='controls'>
        <fieldset className='buttons' aria-label='Navigation'>
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
        <p className='position'>
          <span>{position}</span> <time>{clock}</time>
        </p>
      </div>
    </section>
  )
}

function positionText({ at, count, first }: InspectionState): string {
  if (count === 0) return 'No entries'
  const evicted = first === 0 ? '' : ` (oldest ${first.toLocaleString('en')} not loaded)`
  return `Entry ${(at + 1).toLocaleString('en')} of ${count.toLocaleString('en')}${evicted}`
}

function clockText({ timeline, at }: InspectionState): string {
  const entry = timeline.entry(at)
  return entry === undefined ? '' : clockOf(entry.time)
}
