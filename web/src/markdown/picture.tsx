// Picture: an image of an answer. One of another host is loaded only after a click, because the host would learn the
// reader's IP address, and the URL may contain parts of the conversation.
import { useState } from 'react'
import { Icon } from '../shared/icon.tsx'
import { ForeignLink } from './foreign-link.tsx'
import { safeImage } from './safe-link.ts'

interface Props {
  readonly url: string
  readonly alt: string
  /** Where the image leads. */
  readonly href?: string
}

export function Picture({ url, alt, href }: Props) {
  const image = safeImage(url, location.origin)
  const [shown, setShown] = useState(image?.isOwn ?? false)
  const [failed, setFailed] = useState(false)
  const name = alt === '' ? 'Image' : alt
  if (image === undefined) return <ForeignLink url={href ?? url}>{name}</ForeignLink>
  if (failed) {
    return (
      <span className='picture'>
        <Icon name='warning' /> Couldn’t load the image: <ForeignLink url={image.url}>{name}</ForeignLink>
      </span>
    )
  }
  if (!shown) {
    return (
      <span className='picture'>
        <ForeignLink url={href ?? image.url}>{name}</ForeignLink>
        <button type='button' className='link' onClick={() => setShown(true)}>
          Show image from {image.host}
        </button>
      </span>
    )
  }
  const picture = (
    <img src={image.url} alt={alt} referrerPolicy='no-referrer' decoding='async' onError={() => setFailed(true)} />
  )
  return href === undefined ? picture : <ForeignLink url={href}>{picture}</ForeignLink>
}
