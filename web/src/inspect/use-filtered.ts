// useFiltered: the indexes of the entries that a filter lets through. What was looked at is not looked at again when more comes.
import { useRef } from 'react'
import { type Kind, matches } from './entry-note.ts'
import type { Timeline } from './timeline.ts'
import { useShown } from './use-inspection.ts'

interface Looked {
  readonly timeline: Timeline
  readonly kinds: ReadonlySet<Kind>
  readonly words: string
  readonly first: number
  /** Up to here, that one not included. */
  readonly to: number
  readonly indexes: readonly number[]
}

/** @returns the same array while nothing comes to it */
export function useFiltered(kinds: ReadonlySet<Kind>, words: string): readonly number[] {
  const timeline = useShown((state) => state.timeline)
  const first = useShown((state) => state.first)
  const count = useShown((state) => state.count)
  const looked = useRef<Looked | undefined>(undefined)
  const before = looked.current
  const goesOn =
    before !== undefined &&
    before.timeline === timeline &&
    before.kinds === kinds &&
    before.words === words &&
    before.to <= count
  const kept = goesOn ? before.indexes : []
  const still = goesOn && before.first === first ? kept : kept.filter((index) => index >= first)
  const found: number[] = []
  for (let index = goesOn ? Math.max(first, before.to) : first; index < count; index += 1) {
    const entry = timeline.entry(index)
    if (entry !== undefined && matches(entry, kinds, words)) found.push(index)
  }
  const indexes = found.length === 0 ? still : [...still, ...found]
  looked.current = { timeline, kinds, words, first, to: count, indexes }
  return indexes
}
