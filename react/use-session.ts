// useSession: opens a session while a component is mounted. Components that use the same session share it; it closes
// after the last one has unmounted. Strict mode's second mount keeps it open.
import type { ParleyClient, Session, SessionOptions } from '@parley/client'
import { useEffect, useState } from 'react'

/** By session, how many mounted components use it. */
const users = new WeakMap<Session, number>()

/**
 * @param options of the first component that opens the session; later changes have no effect (`useTool` adds tools)
 * @returns undefined on the server and until the component has mounted. All other hooks accept that.
 * @example
 * const session = useSession(client, 'trip')
 * const turns = useMessages(session)
 */
export function useSession(client: ParleyClient, id: string, options?: SessionOptions): Session | undefined {
  const [opened, setOpened] = useState<{ readonly client: ParleyClient; readonly session: Session }>()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the options apply when the session is opened.
  useEffect(() => {
    const session = client.session(id, options)
    users.set(session, (users.get(session) ?? 0) + 1)
    setOpened({ client, session })
    return () => {
      users.set(session, (users.get(session) ?? 1) - 1)
      // Another component, or the next mount, may use it in the same task.
      setTimeout(() => {
        if (users.get(session) === 0) void session.close()
      })
    }
  }, [client, id])
  return opened?.client === client && opened.session.id === id ? opened.session : undefined
}
