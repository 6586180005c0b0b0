// Entries: the log as a filtered list, and the selected entry as JSON. The list is one tab stop; arrow keys move in it.
import { type KeyboardEvent, memo, useCallback, useEffect, useId, useRef, useState } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { toJson, truncate } from '../conversation/call-note.ts'
import { isInputMethodKey } from '../shared/input-method.ts'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { VirtualListItem } from '../shared/virtual-list-item.tsx'
import { clockOf, KINDS, type Kind, matches, subjectOf, summaryOf } from './entry-note.ts'
import type { LogEntry } from './run-lane.ts'
import type { Timeline } from './timeline.ts'
import { useInspection, useInspectionState } from './use-inspection.ts'

const PAGE = 20

export function Entries() {
  const inspection = useInspection()
  const timeline = useInspectionState((state) => state.timeline)
  const at = useInspectionState((state) => state.at)
  const [kinds, setKinds] = useState<ReadonlySet<Kind>>(() => new Set(KINDS))
  const [words, setWords] = useState('')
  const indexes = useFilteredEntries(kinds, words)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const movesFocus = useRef(false)
  const search = useId()
  const selected = positionOf(indexes, at)
  const goTo = useCallback((index: number) => inspection.goTo(index), [inspection])

  useEffect(() => {
    if (selected < 0) return
    list.current?.scrollToIndex(selected, { align: 'nearest' })
    if (!movesFocus.current) return
    movesFocus.current = false
    // In the next frame, because the row may not be rendered yet.
    const frame = requestAnimationFrame(() => box.current?.querySelector<HTMLElement>('[aria-current=true]')?.focus())
    return () => cancelAnimationFrame(frame)
  }, [selected])

  const onKey = (event: KeyboardEvent): void => {
    if (isInputMethodKey(event)) return
    const to = positionAfterKey(event.key, selected, indexes.length)
    if (to === undefined) return
    event.preventDefault()
    movesFocus.current = to !== selected
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
        <fieldset aria-label='Entry types'>
          {KINDS.map((kind) => (
            <label key={kind}>
              <input type='checkbox' checked={kinds.has(kind)} onChange={() => toggle(kind)} /> {kind}
            </label>
          ))}
        </fieldset>
        <label htmlFor={search}>Filter</label>
        <input
          id={search}
          type='search'
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          spellCheck={false}
        />
      </div>
      <section className='panel-box' ref={box} aria-label='List of entries' onKeyDown={onKey}>
        {indexes.length === 0 ? <p className='empty'>No matching entries.</p> : null}
        <Virtualizer
          ref={list}
          as='ol'
          item={VirtualListItem}
          data={indexes}
          scrollRef={box}
          bufferSize={300}
          itemSize={30}
        >
          {(index, position) => {
            const entry = timeline.entry(index)
            return entry === undefined ? (
              <span key={index} />
            ) : (
              <Row
                key={index}
                index={index}
                entry={entry}
                isSelected={position === selected}
                isTabStop={position === Math.max(0, selected)}
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

interface FilterResult {
  readonly timeline: Timeline
  readonly kinds: ReadonlySet<Kind>
  readonly words: string
  readonly first: number
  /** The index after the last checked entry. */
  readonly to: number
  readonly indexes: readonly number[]
}

/**
 * The indexes of the entries that pass the filter. Only new entries are checked.
 * @returns the same array while the result is the same
 */
function useFilteredEntries(kinds: ReadonlySet<Kind>, words: string): readonly number[] {
  const timeline = useInspectionState((state) => state.timeline)
  const first = useInspectionState((state) => state.first)
  const count = useInspectionState((state) => state.count)
  const last = useRef<FilterResult | undefined>(undefined)
  const before = last.current
  const continues =
    before !== undefined &&
    before.timeline === timeline &&
    before.kinds === kinds &&
    before.words === words &&
    before.to <= count
  const known = continues ? before.indexes : []
  const remaining = continues && before.first === first ? known : known.filter((index) => index >= first)
  const found: number[] = []
  for (let index = continues ? Math.max(first, before.to) : first; index < count; index += 1) {
    const entry = timeline.entry(index)
    if (entry !== undefined && matches(entry, kinds, words)) found.push(index)
  }
  const indexes = found.length === 0 ? remaining : [...remaining, ...found]
  last.current = { timeline, kinds, words, first, to: count, indexes }
  return indexes
}

interface RowProps {
  readonly index: number
  readonly entry: LogEntry
  readonly isSelected: boolean
  /** The row that Tab focuses. */
  readonly isTabStop: boolean
  readonly goTo: (index: number) => void
}

const Row = memo(function Row({ index, entry, isSelected, isTabStop, goTo }: RowProps) {
  const { time, event } = entry
  return (
    <button
      type='button'
      className='entry'
      aria-current={isSelected}
      tabIndex={isTabStop ? 0 : -1}
      onClick={() => goTo(index)}
    >
      <span className='entry-time'>{clockOf(time)}</span>
      <span className='entry-type'>{event.type}</span>
      <span className='entry-summary'>{summaryOf(event)}</span>
    </button>
  )
})

function Details() {
  const entry = useInspectionState(({ timeline, at }) => timeline.entry(at))
  if (entry === undefined) return null
  const { cursor, time, event } = entry
  return (
    <div className='details'>
      <h3>
        <span className='code'>{subjectOf(event)}</span> at <span className='code'>{cursor}</span>
      </h3>
      <p>{new Date(time).toISOString()}</p>
      <ScrollBox className='details-json' label='Entry as JSON'>
        <pre>{truncate(toJson(event, 2), JSON_MAX)}</pre>
      </ScrollBox>
    </div>
  )
}

/** Characters. */
const JSON_MAX = 40_000

/** The position of the last index that is not greater than `at`; -1 if there is none. */
function positionOf(indexes: readonly number[], at: number): number {
  let low = 0
  let high = indexes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((indexes[middle] ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return low - 1
}

function positionAfterKey(key: string, position: number, count: number): number | undefined {
  const within = (to: number): number => Math.min(count - 1, Math.max(0, to))
  switch (key) {
    case 'ArrowUp':
      return within(position - 1)
    case 'ArrowDown':
      return within(position + 1)
    case 'PageUp':
      return within(position - PAGE)
    case 'PageDown':
      return within(position + PAGE)
    case 'Home':
      return within(0)
    case 'End':
      return within(count - 1)
    default:
      return undefined
  }
}
