// ForeignLink: a link in the text of others. An unsafe one is its text.
import type { ReactNode } from 'react'
import { safeLink } from './safe-link.ts'

interface Props {
  readonly url: string
  readonly children: ReactNode
}

export function ForeignLink({ url, children }: Props) {
  const href = safeLink(url)
  if (href === undefined) return <span>{children}</span>
  return (
    <a href={href} target='_blank' rel='noopener noreferrer nofollow ugc' title={href}>
      {children}
    </a>
  )
}
