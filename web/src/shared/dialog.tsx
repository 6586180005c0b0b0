// Dialog: a native one, opened when it comes and closed by Esc, its button, or a click beside it. The browser keeps the
// focus inside and gives it back.
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { createPortal } from 'react-dom'
import { Icon } from './icon.tsx'

interface Props {
  readonly title: string
  readonly className?: string
  readonly onClose: () => void
  /** @param close closes it, as its button does */
  readonly children: (close: () => void) => ReactNode
}

export function Dialog({ title, className = '', onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    dialog.current?.showModal()
    // The browser would choose the first button, which closes it.
    dialog.current?.querySelector<HTMLElement>('[data-first]')?.focus()
  }, [])
  const close = (): void => dialog.current?.close()
  // At the page's end: what stands around its button may be hidden while it is open.
  return createPortal(
    // biome-ignore lint/a11y/useKeyWithClickEvents: by keyboard, Esc and the button do the same.
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={heading}
      onClose={onClose}
      onClick={(event) => {
        // What is in the dialog is another target; the dialog itself is only hit where its backdrop is.
        if (event.target === event.currentTarget) close()
      }}
    >
      <div className='dialog-body'>
        <div className='dialog-head'>
          <h2 id={heading}>{title}</h2>
          <button type='button' className='button quiet' aria-label='Close' onClick={close}>
            <Icon name='close' />
          </button>
        </div>
        {children(close)}
      </div>
    </dialog>,
    document.body,
  )
}
