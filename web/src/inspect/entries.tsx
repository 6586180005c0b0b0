// Entries: the log as a list, by kind and by words, and the entry that the page stands at as it is stored. The keyboard goes
// through the list as through one control: one place in it takes the focus.
import { type KeyboardEvent, memo, useCallback, useEffect, useId, useRef, useState } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { ListPlace } from '../shared/list-place.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { clockOf, KINDS, type Kind, subjectOf, summaryOf } from './entry-note.ts'
import type { LogEntry } from './run-lane.ts'
import { useFiltered } from './use-filtered.ts'
import { useInspection, useShown } from './use-inspection.ts'

const PAGE = 20

export function Entries() {
  const inspection = useInspection()
  const timeline = useShown((state) => state.timeline)
  const at = useShown((state) => state.at)
  const [kinds, setKinds] = useState<ReadonlySet<Kind>>(() => new Set(KINDS))
  const [words, setWords] = useState('')
  const indexes = useFiltered(kinds, words)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const focus = useRef(false)
  const search = useId()
  const place = placeOf(indexes, at)
  const goTo = useCallback((index: number) => inspection.goTo(index), [inspection])

  useEffect(() => {
    if (place < 0) return
    list.current?.scrollToIndex(place, { align: 'nearest' })
    if (!focus.current) return
    focus.current = false
    // The row may have to be put into the page first.
    const frame = requestAnimationFrame(() => box.current?.querySelector<HTMLElement>('[aria-current=true]')?.focus())
    return () => cancelAnimationFrame(frame)
  }, [place])

  const onKey = (event: KeyboardEvent): void => {
    const to = moved(event.key, place, indexes.length)
    if (to === undefined) return
    event.preventDefault()
    focus.current = to !== place
    const index = indexes[to]
    if (index !== undefined) inspection.goTo(index)
  }
  const toggle = (kind: Kind): void => {
    const next = new Set(kinds)
    if (!next.delete(kind)) next.add(kind)
    setKinds(next)
  }
  return (
    <section className='panel entries' aria-labelledby='entries-title'>
      <h2 id='entries-title'>Entries</h2>
      <div className='filter'>
        <fieldset aria-label='Kinds of entries'>
          {KINDS.map((kind) => (
            <label key={kind}>
              <input type='checkbox' checked={kinds.has(kind)} onChange={() => toggle(kind)} /> {kind}
            </label>
          ))}
        </fieldset>
        <label htmlFor={search}>Subject or words</label>
        <input
          id={search}
          type='search'
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          spellCheck={false}
        />
      </div>
      <section className='panel-box' ref={box} aria-label='List of entries' onKeyDown={onKey}>
        {indexes.length === 0 ? <p className='nothing'>No such entry.</p> : null}
        <Virtualizer ref={list} as='ol' item={ListPlace} data={indexes} scrollRef={box} bufferSize={300} itemSize={30}>
          {(index, position) => {
            const entry = timeline.entry(index)
            return entry === undefined ? (
              <span key={index} />
            ) : (
              <Row
                key={index}
                index={index}
                entry={entry}
                isHere={position === place}
                isStop={position === Math.max(0, place)}
                goTo={goTo}
              />
            )
          }}
        </Virtualizer>
      </section>
      <Details />
    </section>
  )
}

interface RowProps {
  readonly index: number
  readonly entry: LogEntry
  readonly isHere: boolean
  /** It is where the keyboard comes into the list. */
  readonly isStop: boolean
  readonly goTo: (index: number) => void
}

const Row = memo(function Row({ index, entry, isHere, isStop, goTo }: RowProps) {
  const { time, event } = entry
  return (
    <button
      type='button'
      className='entry'
      aria-current={isHere}
      tabIndex={isStop ? 0 : -1}
      onClick={() => goTo(index)}
    >
      <span className='entry-time'>{clockOf(time)}</span>
      <span className='entry-type'>{event.type}</span>
      <span className='entry-says'>{summaryOf(event)}</span>
    </button>
  )
})

function Details() {
  const entry = useShown(({ timeline, at }) => timeline.entry(at))
  if (entry === undefined) return null
  const { cursor, time, event } = entry
  return (
    <div className='details'>
      <h3>
        <span className='code'>{subjectOf(event)}</span> at <span className='code'>{cursor}</span>
      </h3>
      <p>{new Date(time).toISOString()}</p>
      <ScrollBox className='details-json' label='The entry as JSON'>
        <pre>{jsonOf(event)}</pre>
      </ScrollBox>
    </div>
  )
}

const JSON_MAX = 40_000

function jsonOf(event: LogEntry['event']): string {
  const text = JSON.stringify(event, null, 2)
  if (text.length <= JSON_MAX) return text
  return `${text.slice(0, JSON_MAX)}\n… ${(text.length - JSON_MAX).toLocaleString('en')} more characters`
}

/** The place of the last entry in the list that is not after `at`. */
function placeOf(indexes: readonly number[], at: number): number {
  let low = 0
  let high = indexes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((indexes[middle] ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return low - 1
}

function moved(key: string, place: number, count: number): number | undefined {
  const within = (to: number): number => Math.min(count - 1, Math.max(0, to))
  switch (key) {
    case 'ArrowUp':
      return within(place - 1)
    case 'ArrowDown':
      return within(place + 1)
    case 'PageUp':
      return within(place - PAGE)
    case 'PageDown':
      return within(place + PAGE)
    case 'Home':
      return within(0)
    case 'End':
      return within(count - 1)
    default:
      return undefined
  }
}
