// FootnoteList: the footnotes of an answer, and the links between them and their references. The ids are unique in the
// page. The links do not change the address, which belongs to the session.
import { createContext, type MouseEvent, type ReactNode, use, useId } from 'react'

/** The prefix of an answer's ids. */
const Prefix = createContext('')

export function FootnoteScope({ children }: { readonly children: ReactNode }) {
  return <Prefix value={useId()}>{children}</Prefix>
}

/** Links back to a footnote's references. More references have none. */
const MAX_BACK_LINKS = 9

interface MarkProps {
  readonly number: number
  /** How many references to the same footnote precede this one. */
  readonly use: number
}

export function FootnoteMark({ number, use: uses }: MarkProps) {
  const prefix = use(Prefix)
  return (
    <sup>
      <Jump id={`${prefix}mark-${number}-${uses}`} to={`${prefix}note-${number}`} label={`Footnote ${number}`}>
        {number}
      </Jump>
    </sup>
  )
}

export function Footnotes({ children }: { readonly children: ReactNode }) {
  return (
    <section className='footnotes' aria-label='Footnotes'>
      <ol>{children}</ol>
    </section>
  )
}

interface FootnoteProps {
  /** Undefined if nothing refers to it. */
  readonly number: number | undefined
  /** How many references there are. */
  readonly uses: number
  readonly children: ReactNode
}

export function Footnote({ number, uses, children }: FootnoteProps) {
  const prefix = use(Prefix)
  const links = Array.from({ length: Math.min(uses, MAX_BACK_LINKS) }, (_, at) => `${prefix}mark-${number}-${at}`)
  return (
    <li dir='auto' tabIndex={-1} {...(number === undefined ? {} : { id: `${prefix}note-${number}` })}>
      {children}
      {links.map((to, at) => (
        <Jump key={to} to={to} label={at === 0 ? 'Back to the text' : `Back to reference ${at + 1}`}>
          ↩
        </Jump>
      ))}
    </li>
  )
}

interface JumpProps {
  readonly id?: string
  readonly to: string
  readonly label: string
  readonly children: ReactNode
}

function Jump({ id, to, label, children }: JumpProps) {
  const jump = (event: MouseEvent): void => {
    event.preventDefault()
    const target = document.getElementById(to)
    target?.scrollIntoView({ block: 'nearest' })
    target?.focus({ preventScroll: true })
  }
  return (
    <a {...(id === undefined ? {} : { id })} href={`#${to}`} aria-label={label} className='jump' onClick={jump}>
      {children}
    </a>
  )
}
