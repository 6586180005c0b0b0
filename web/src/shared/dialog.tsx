// Dialog: a native modal dialog. Esc, its button and a click on the backdrop close it. The browser traps the focus and
// restores it.
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { createPortal } from 'react-dom'
import { BROKEN_PART, ErrorBoundary } from './error-boundary.tsx'
import { Icon } from './icon.tsx'

interface Props {
  readonly title: string
  readonly className?: string
  readonly onClose: () => void
  /** @param close closes the dialog */
  readonly children: (close: () => void) => ReactNode
}

export function Dialog({ title, className = '', onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    dialog.current?.showModal()
    // By default the browser would focus the first button, which closes the dialog.
    dialog.current?.querySelector<HTMLElement>('[data-first]')?.focus()
  }, [])
  const close = (): void => dialog.current?.close()
  // A portal, because an ancestor of the opening button may become hidden while the dialog is open.
  return createPortal(
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc and the button do the same by keyboard.
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={heading}
      onClose={onClose}
      onClick={(event) => {
        // The dialog itself is the target only if the click hits its backdrop.
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
        <ErrorBoundary fallback={BROKEN_PART}>
          <Content close={close}>{children}</Content>
        </ErrorBoundary>
      </div>
    </dialog>,
    document.body,
  )
}

interface ContentProps extends Pick<Props, 'children'> {
  readonly close: () => void
}

/** A component of its own, so that the boundary catches its errors. */
function Content({ close, children }: ContentProps) {
  return children(close)
}
