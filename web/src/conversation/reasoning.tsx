// Reasoning: what the model thought before it spoke. Folded; its text is in the page only while it is open.
import { memo, useState } from 'react'
import { Markdown } from '../markdown/markdown.tsx'

interface Props {
  readonly text: string
  readonly going: boolean
}

export const Reasoning = memo(function Reasoning({ text, going }: Props) {
  const [open, setOpen] = useState(false)
  return (
    <details className='reasoning' open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{going ? 'Reasoning …' : 'Reasoning'}</summary>
      {open ? <Markdown text={text} ended={!going} /> : null}
    </details>
  )
})
