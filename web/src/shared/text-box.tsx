// TextBox: a text box that grows with its text. Browsers lay out a text box as a whole, at each change. A pasted text that would take
// them long appears below the box instead, and follows the text of the box.
import { type ComponentProps, type RefObject, useEffect, useEffectEvent, useMemo, useState } from 'react'
import { displayText } from './display-text.ts'
import { Icon } from './icon.tsx'
import { LongText } from './long-text.tsx'
import { type BoxText, isSlowToLayOut, joined, MIN_LONG_CHARS, split } from './long-texts.ts'
import { ScrollBox } from './scroll-box.tsx'

interface Props extends Omit<ComponentProps<'textarea'>, 'value' | 'onChange' | 'ref'> {
  /** All of the text. */
  readonly value: string
  readonly onChange: (value: string) => void
  readonly ref: RefObject<HTMLTextAreaElement | null>
}

/** The copy that gives the box its height needs no more: the box is at its greatest height. */
const COPY_CHARS = 4_000

export function TextBox({ value, onChange, ref, ...others }: Props) {
  const [kept, keep] = useState<BoxText & { readonly value: string }>()
  const { text, long } = useMemo(() => (kept?.value === value ? kept : split(value)), [kept, value])
  const change = (changed: BoxText): void => {
    const next = joined(changed)
    keep({ ...changed, value: next })
    onChange(next)
  }

  // Before the browser inserts a text, which would stall the page.
  const onBeforeInput = useEffectEvent((event: InputEvent) => {
    const data = event.data ?? event.dataTransfer?.getData('text/plain') ?? ''
    const box = ref.current
    if (box === null || data.length < MIN_LONG_CHARS) return
    const before = text.slice(0, box.selectionStart)
    const after = text.slice(box.selectionEnd)
    if (!isSlowToLayOut(before + data + after)) return
    event.preventDefault()
    change({ text: before + after, long: [...long, data.replaceAll(/\r\n?/g, '\n')] })
  })
  useEffect(() => {
    const box = ref.current
    const listener = (event: InputEvent): void => onBeforeInput(event)
    box?.addEventListener('beforeinput', listener)
    return () => box?.removeEventListener('beforeinput', listener)
  }, [ref])

  return (
    <>
      <div className='text-box' data-copy={displayText(text.slice(0, COPY_CHARS))}>
        <textarea
          ref={ref}
          value={text}
          dir='auto'
          rows={1}
          {...others}
          onChange={({ target }) => change({ text: target.value, long })}
        />
      </div>
      <LongTexts
        texts={long}
        onRemove={(at) => {
          change({ text, long: long.toSpliced(at, 1) })
          ref.current?.focus()
        }}
      />
    </>
  )
}

interface LongTextsProps {
  readonly texts: readonly string[]
  readonly onRemove: (at: number) => void
}

function LongTexts({ texts, onRemove }: LongTextsProps) {
  const sizes = texts.map(({ length }) => `${length.toLocaleString('en')} characters`)
  return (
    <>
      <span className='unseen' role='status'>
        {sizes.length === 0 ? '' : `Long text below the box: ${sizes.join(', ')}.`}
      </span>
      {texts.length === 0 ? null : (
        <ul className='long-texts' aria-label='Long texts'>
          {texts.map((text, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two texts may be the same.
            <li key={at}>
              <Preview text={text} size={sizes[at] ?? ''} />
              <button
                type='button'
                className='link quiet'
                aria-label={`Remove long text, ${sizes[at]}`}
                onClick={() => onRemove(at)}
              >
                <Icon name='close' />
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

/** Of the one line that is shown of a closed text. */
const FIRST_CHARS = 100

function Preview({ text, size }: { readonly text: string; readonly size: string }) {
  const [open, setOpen] = useState(false)
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <span className='long-text-size'>
          <Icon name='file' /> Long text, {size}
        </span>
        <span className='long-text-start' dir='auto'>
          {displayText(text.slice(0, FIRST_CHARS))}
        </span>
      </summary>
      {open ? (
        <ScrollBox label='Long text' className='long-text-whole'>
          <div dir='auto'>
            <LongText text={displayText(text)} />
          </div>
        </ScrollBox>
      ) : null}
    </details>
  )
}
