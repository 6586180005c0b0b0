// FindBar: searches the whole conversation: messages, answers, reasoning and tool calls, and opens what is collapsed around a match. The
// browser's own search finds only the turns that are in the page.
import type { SessionView, TurnView } from '@parley/client'
import {
  type KeyboardEvent,
  type RefObject,
  useDeferredValue,
  useEffect,
  useEffectEvent,
  useMemo,
  useRef,
  useState,
} from 'react'
import type { VirtualizerHandle } from 'virtua'
import { useView } from '../connection/use-chat.ts'
import { Icon } from '../shared/icon.tsx'
import { isInputMethodKey } from '../shared/input-method.ts'
import { isShortcutKey } from '../shared/platform.ts'
import { type Counts, firstFrom, matchCounter, placeOf, queryOf, sumOf } from './find-matches.ts'
import { clearHighlights, highlight, partsIn, rangesIn, scrollToRange, unfold } from './highlight-matches.ts'
import { searchedParts } from './searched-parts.ts'

export interface FindBarProps {
  /** The scroll box of the turns, and its virtual list. */
  readonly box: RefObject<HTMLElement | null>
  readonly list: RefObject<VirtualizerHandle | null>
  /** Called before the bar scrolls. */
  readonly onScroll: () => void
  readonly onClose: () => void
}

/** A long turn takes some frames until it is in the page, has its text and its place. */
const MAX_FRAMES = 120

export function FindBar({ box, list, onScroll, onClose }: FindBarProps) {
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text)
  const query = useMemo(() => queryOf(wanted), [wanted])
  const turns = useView((view) => view.turns)
  const calls = useView((view) => view.calls)
  const runs = useView((view) => view.runs)
  const counts = useCounts(turns, calls, runs, query)
  const total = sumOf(counts)
  const loading = useView((view) => view.status === 'attaching' || view.status === 'replaying')
  /** A new object for each step, so that the same match can be shown again. */
  const [step, setStep] = useState({ at: 0 })
  const { at } = step
  const place = placeOf(counts, at)
  const turn = place === undefined ? undefined : turns[place.turn]
  const position = turn === undefined ? undefined : `after ${turn.after}`
  const { part = 0, nth = 0 } = place ?? {}

  const first = useEffectEvent(() => {
    const visible = list.current?.findItemIndex(list.current.scrollOffset) ?? 0
    setStep({ at: firstFrom(counts, visible) })
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new query begins at the visible turn.
  useEffect(() => first(), [query])

  const reveal = useEffectEvent((): (() => void) | undefined => {
    if (query === undefined || place === undefined || position === undefined) return undefined
    onScroll()
    if (turnAt(box.current, position) === null) list.current?.scrollToIndex(place.turn)
    let frames = 0
    let frame = requestAnimationFrame(function look() {
      frames += 1
      const element = turnAt(box.current, position)
      const found = element === null ? undefined : partsIn(element)[part]
      if (found instanceof HTMLDetailsElement) unfold(found)
      const ranges = found === undefined ? [] : rangesIn(found, query.pattern)
      const range = ranges[Math.min(nth, ranges.length - 1)]
      unfold(range?.startContainer.parentElement ?? null)
      onScroll()
      const isThere = box.current !== null && range !== undefined && scrollToRange(box.current, range)
      if (!isThere && frames < MAX_FRAMES) frame = requestAnimationFrame(look)
    })
    return () => cancelAnimationFrame(frame)
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: for each step, and for a new query with the same one.
  useEffect(() => reveal(), [step, query])

  useEffect(() => {
    const content = box.current
    if (content === null || query === undefined) return undefined
    let frame: number | undefined
    const paint = (): void => {
      frame = undefined
      const all: Range[] = []
      let current: Range | undefined
      for (const element of content.querySelectorAll<HTMLElement>('[data-turn]')) {
        for (const [index, found] of partsIn(element).entries()) {
          const own = rangesIn(found, query.pattern)
          if (element.dataset.turn === position && index === part) current = own[Math.min(nth, own.length - 1)]
          all.push(...own)
        }
      }
      highlight(all, current)
    }
    const observer = new MutationObserver(() => {
      frame ??= requestAnimationFrame(paint)
    })
    observer.observe(content, { subtree: true, childList: true, characterData: true })
    paint()
    return () => {
      observer.disconnect()
      if (frame !== undefined) cancelAnimationFrame(frame)
      clearHighlights()
    }
  }, [query, position, part, nth, box])

  const go = (by: number): void => {
    if (total > 0) setStep({ at: (at + by + total) % total })
  }
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    if (isInputMethodKey(event)) return
    if (event.key === 'Escape') {
      // Otherwise Escape would also stop the answer.
      event.preventDefault()
      onClose()
    } else if (event.key === 'Enter' && event.target instanceof HTMLInputElement) {
      event.preventDefault()
      go(event.shiftKey ? -1 : 1)
    }
  }
  const found = total === 0 ? 'No results' : `${at + 1} of ${total.toLocaleString('en')}`
  return (
    <search className='find-bar' aria-label='Find in chat' onKeyDown={onKeyDown}>
      <FindInput text={text} onChange={setText} />
      <span className='find-count' role='status'>
        {query === undefined ? '' : loading ? `${found} so far` : found}
      </span>
      <button type='button' className='step' aria-label='Previous match' disabled={total === 0} onClick={() => go(-1)}>
        <Icon name='up' />
      </button>
      <button type='button' className='step' aria-label='Next match' disabled={total === 0} onClick={() => go(1)}>
        <Icon name='down' />
      </button>
      <button type='button' className='step' aria-label='Close' onClick={onClose}>
        <Icon name='close' />
      </button>
    </search>
  )
}

interface InputProps {
  readonly text: string
  readonly onChange: (text: string) => void
}

/** Browsers lay out a text field as a whole. */
const QUERY_MAX = 1_000

function FindInput({ text, onChange }: InputProps) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.focus(), [])
  return (
    <input
      ref={input}
      id={FIND_INPUT}
      type='text'
      value={text}
      dir='auto'
      maxLength={QUERY_MAX}
      autoComplete='off'
      spellCheck={false}
      placeholder='Find in this chat'
      aria-label='Find in chat'
      enterKeyHint='search'
      onChange={(event) => onChange(event.target.value)}
    />
  )
}

const FIND_INPUT = 'find-input'

function useCounts(
  turns: readonly TurnView[],
  calls: SessionView['calls'],
  runs: SessionView['runs'],
  query: ReturnType<typeof queryOf>,
): Counts {
  const count = useMemo(() => (query === undefined ? undefined : matchCounter(query)), [query])
  return useMemo(
    () => (count === undefined ? [] : turns.map((turn) => searchedParts(turn, { calls, runs }).map(count))),
    [turns, calls, runs, count],
  )
}

function turnAt(box: HTMLElement | null, position: string): Element | null {
  return box?.querySelector(`[data-turn="${CSS.escape(position)}"]`) ?? null
}

/** Ctrl-F or Cmd-F opens the bar; pressed again in the bar, it opens the browser's own search. */
export function useFindShortcut(onOpen: () => void): void {
  const onKeyDown = useEffectEvent((event: globalThis.KeyboardEvent) => {
    const isShortcut = event.key.toLowerCase() === 'f' && isShortcutKey(event)
    if (!isShortcut || isInputMethodKey(event) || event.defaultPrevented) return
    if (document.querySelector('dialog[open]') !== null) return
    const input = document.getElementById(FIND_INPUT)
    if (input !== null && document.activeElement === input) return
    event.preventDefault()
    if (input instanceof HTMLInputElement) input.select()
    else onOpen()
  })
  useEffect(() => {
    const listener = (event: globalThis.KeyboardEvent): void => onKeyDown(event)
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [])
}
