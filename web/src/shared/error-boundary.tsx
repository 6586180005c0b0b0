// ErrorBoundary: shows something else instead of a part of the page that fails to render, so that the rest stays.
import { Component, type ReactNode } from 'react'

interface Props {
  /** Shown after an error. It must not fail itself. */
  readonly fallback: ReactNode
  readonly children: ReactNode
}

export class ErrorBoundary extends Component<Props, { readonly failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError(): { readonly failed: boolean } {
    return { failed: true }
  }

  override render(): ReactNode {
    return this.state.failed ? this.props.fallback : this.props.children
  }
}

/** Instead of a whole page. */
export function BrokenPage() {
  return (
    <main className='auth-gate' role='alert'>
      <h1>Something went wrong</h1>
      <p>Reload the page. Nothing that you sent is lost.</p>
      <button type='button' className='button primary' onClick={() => window.location.reload()}>
        Reload
      </button>
    </main>
  )
}

/** Instead of a part of a page. */
export const BROKEN_PART = <p className='note failed'>This part couldn’t be displayed.</p>
