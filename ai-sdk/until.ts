// until: waits for a state of a session.
import type { Session, SessionView } from '@parley/client'

/** @throws why the session has ended; AbortError */
export function until(
  session: Session,
  holds: (view: SessionView) => boolean,
  signal?: AbortSignal,
): Promise<SessionView> {
  return new Promise((resolve, reject) => {
    const subscriptions: (() => void)[] = []
    const settle = (step: () => void): void => {
      for (const unsubscribe of subscriptions) unsubscribe()
      step()
    }
    const look = (): void => {
      if (holds(session.state)) settle(() => resolve(session.state))
    }
    const abort = (): void => settle(() => reject(new DOMException('The request was stopped.', 'AbortError')))
    if (signal?.aborted === true) {
      abort()
      return
    }
    signal?.addEventListener('abort', abort)
    subscriptions.push(
      () => signal?.removeEventListener('abort', abort),
      session.subscribe(look),
      session.watch({ ended: (error) => settle(() => reject(error)) }),
    )
    look()
  })
}
