// LongText: a text of any length. Browsers lay it out in parts, in frames of their own; the reader sees at most a short line at the
// end of a part. Letters that join, as in Arabic, do so within a part.
import { memo, type ReactNode } from 'react'
import { GrowingText } from './growing-text.tsx'
import { textSize, useRenderSlot } from './render-slots.ts'
import { finalBreaks, textParts } from './text-parts.ts'

interface Props {
  readonly text: string
  /** Whether more text may follow. Omitted: no. */
  readonly growing?: boolean
}

export function LongText({ text, growing = false }: Props): ReactNode {
  const parts = textParts(text)
  const last = parts.length - 1
  return parts.map((part, at) => {
    const Shown = at === 0 ? GrowingText : Part
    // biome-ignore lint/suspicious/noArrayIndexKey: parts are only appended.
    return <Shown key={at} text={part} growing={growing && at === last} />
  })
}

const Part = memo(function Part({ text, growing }: Required<Props>) {
  if (!useRenderSlot(textSize(text))) return null
  const breaks = finalBreaks(text)
  return (
    <>
      <span className='part'>
        <GrowingText text={text.slice(0, text.length - breaks.length)} growing={growing} />
      </span>
      {breaks}
    </>
  )
})
