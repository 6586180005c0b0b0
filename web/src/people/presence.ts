// Presence: the connections of the session as the server reports them, and what this page reports about its own user:
// the kind of device, and whether the user is typing.

import { ParleyError, type PresentMember, type Session } from '@parley/client'
import { cutText } from '@parley/protocol/cut-text'
import { Store } from '../shared/store.ts'
import type { PresentConnection } from './presence-note.ts'
import { TypingSignal } from './typing-signal.ts'

export interface PresenceState {
  /** Only some of them, if there are many. */
  readonly connections: readonly PresentConnection[]
  /** The number of all connections. */
  readonly count: number
}

export class Presence extends Store<PresenceState> {
  readonly typing: TypingSignal
  readonly #unsubscribe: () => void

  /** @param device a word for the kind of device */
  constructor(session: Pick<Session, 'presence' | 'show'>, device: string) {
    super({ connections: [], count: 0 })
    const show = (typing: boolean): void => {
      try {
        session.show({ device, ...(typing ? { typing } : {}) })
      } catch (error) {
        // The session has ended: the others see that without this.
        if (!(error instanceof ParleyError)) throw error
      }
    }
    const update = (): void => {
      const { members, count } = session.presence.state
      this.setState({ connections: members.map(connectionOf), count })
    }
    this.typing = new TypingSignal(show)
    this.#unsubscribe = session.presence.subscribe(update)
    show(false)
    update()
  }

  close(): void {
    this.typing.ended()
    this.#unsubscribe()
  }
}

const DEVICE_MAX = 32

/** Other clients choose their state freely, so only known fields of the expected type are used. */
function connectionOf({ user, connection, state, name }: PresentMember): PresentConnection {
  const { device, typing } = state
  return {
    user,
    connection,
    ...(name === undefined ? {} : { name }),
    ...(typeof device === 'string' && device !== '' ? { device: cutText(device, DEVICE_MAX) } : {}),
    typing: typing === true,
  }
}

/** The kind of device that this page runs on. */
export function deviceOf(window: Window): string {
  const coarse = window.matchMedia('(pointer: coarse)').matches
  if (!coarse) return 'computer'
  return Math.min(window.screen.width, window.screen.height) < 600 ? 'phone' : 'tablet'
}
