// AnswerExtras: the parts of an answer that are not text: the arguments of a call while the model writes them, data, sources and files.
import type { CallView, RunPart } from '@parley/client'
import { useId } from 'react'
import { ForeignLink } from '../markdown/foreign-link.tsx'
import { Picture } from '../markdown/picture.tsx'
import { isSmallPicture, safeLink } from '../markdown/safe-link.ts'
import { Icon } from '../shared/icon.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { formatText, formatValue } from './call-note.ts'

type PartOf<T extends RunPart['type']> = Extract<RunPart, { type: T }>

/** A call that the model is still writing, or did not complete. The card of the call replaces it. */
export function StreamedInput({ part, ended }: { readonly part: PartOf<'input'>; readonly ended: boolean }) {
  const heading = useId()
  const tone = ended ? 'chip' : 'chip busy'
  return (
    <article className='tool' aria-labelledby={heading} data-status='writing'>
      <header className='tool-head'>
        <Icon name='tool' />
        <h3 id={heading}>{part.name}</h3>
        <span className={tone}>{ended ? 'Not completed' : 'Writing the input'}</span>
      </header>
      <ScrollBox className='value' label='Input'>
        <pre>{formatText(part.text)}</pre>
      </ScrollBox>
    </article>
  )
}

/** The page does not know what the data means, so it shows it as JSON, collapsed. */
export function DataPart({ part }: { readonly part: PartOf<'data'> }) {
  return (
    <details className='collapsible data-part'>
      <summary dir='auto'>{part.name}</summary>
      <ScrollBox className='value' label={part.name}>
        <pre>{formatValue(part.data)}</pre>
      </ScrollBox>
    </details>
  )
}

/** A link, if it is one over HTTPS. */
export function SourcePart({ part }: { readonly part: PartOf<'source'> }) {
  const { url, title } = part
  const words = title === undefined || title === '' ? url : title
  return (
    <p className='source-part' dir='auto'>
      Source: {safeLink(url)?.startsWith('https:') === true ? <ForeignLink url={url}>{words}</ForeignLink> : words}
    </p>
  )
}

/** A picture inside the answer is shown; one of another host only after a click, as in Markdown. */
export function FilePart({ part }: { readonly part: PartOf<'file'> }) {
  const { mediaType, name = 'File', url } = part
  if (url !== undefined && isSmallPicture(url, mediaType)) return <img className='file-part' src={url} alt={name} />
  return (
    <p className='source-part' dir='auto'>
      {url !== undefined && mediaType.startsWith('image/') && !url.startsWith('data:') ? (
        <Picture url={url} alt={name} />
      ) : (
        <>
          File: {url === undefined ? name : <ForeignLink url={url}>{name}</ForeignLink>} ({mediaType})
        </>
      )}
    </p>
  )
}

/** How far the tool of a call is. */
export function CallProgress({ progress }: { readonly progress: NonNullable<CallView['progress']> }) {
  const { text, done, total } = progress
  const share = done === undefined || total === undefined || total <= 0 ? undefined : Math.min(1, done / total)
  return (
    <p className='progress' dir='auto'>
      {done === undefined ? null : (
        <progress aria-label='Progress' {...(share === undefined ? {} : { value: share, max: 1 })} />
      )}
      <span>
        {done === undefined ? '' : `${done}${total === undefined ? '' : ` of ${total}`} `}
        {text === undefined ? '' : formatText(text)}
      </span>
    </p>
  )
}
