// Conversation: the turns of the current branch, each a message with its answer, then the refused messages. Only turns
// near the visible part are in the page, so that a long conversation costs no more than a short one. The list renders
// when a message arrives; while an answer streams, only that answer renders.
import type { MessageView } from '@parley/client'
import { useMessages } from '@parley/react'
import { type FocusEvent, useCallback, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import type { UnsentMessage } from '../composer/unsent-messages.ts'
import { useRoom, useView } from '../connection/use-chat.ts'
import { FindBar, useFindShortcut } from '../search/find-bar.tsx'
import { Icon } from '../shared/icon.tsx'
import { useStore } from '../shared/store.ts'
import { VirtualListItem } from '../shared/virtual-list-item.tsx'
import { useEditing } from './edit-box.tsx'
import { type Item, Turn } from './turn.tsx'
import { useStickToEnd } from './use-stick-to-end.ts'
import { VersionAnnouncer } from './versions.tsx'
import { Welcome } from './welcome.tsx'

/** Pixels above and below the visible part that are rendered, too, so that fast scrolling shows no gap. */
const OVERSCAN = 1_500

export function Conversation() {
  const { refused, sends } = useStore(useRoom().sender)
  const items = useItems(refused)
  const box = useRef<HTMLElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const { atEnd, toEnd, beforeScroll } = useStickToEnd(box, content)
  const [finding, setFinding] = useState(false)
  useFindShortcut(() => setFinding(true))
  const closeFind = (): void => {
    setFinding(false)
    // The user has found what they looked for.
    box.current?.focus({ preventScroll: true })
  }
  const focused = useFocusedTurn()
  useEffect(() => {
    if (sends > 0) toEnd()
  }, [sends, toEnd])
  const { editing } = useEditing()
  useStayOnBranch(editing?.id)
  const mounted = items.flatMap(({ position, id }, at) =>
    position === focused.position || id === editing?.id ? [at] : [],
  )

  return (
    <main className='conversation'>
      <h2 className='unseen'>Conversation</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable box must be reachable by keyboard. */}
      <section className='conversation-box' ref={box} tabIndex={0} aria-label='Conversation' onFocus={focused.onFocus}>
        <div className='conversation-content' ref={content}>
          <Virtualizer
            ref={list}
            as='ol'
            item={VirtualListItem}
            data={items}
            scrollRef={box}
            bufferSize={OVERSCAN}
            keepMounted={mounted}
          >
            {(item) => <Turn key={item.position} item={item} />}
          </Virtualizer>
        </div>
      </section>
      {items.length === 0 ? <Welcome /> : null}
      {finding ? <FindBar box={box} list={list} onScroll={beforeScroll} onClose={closeFind} /> : null}
      <VersionAnnouncer />
      {atEnd ? null : (
        <button type='button' className='to-end' onClick={toEnd}>
          <Icon name='down' /> Jump to latest
        </button>
      )}
    </main>
  )
}

function useItems(refused: readonly UnsentMessage[]): readonly Item[] {
  const turns = useMessages(useRoom().session)
  return useMemo(
    () => [
      ...turns.map((turn): Item => ({ kind: 'turn', position: `after ${turn.after}`, id: turn.message.id, turn })),
      ...refused.map(
        (message): Item => ({ kind: 'refused', position: `refused ${message.id}`, id: message.id, message }),
      ),
    ],
    [turns, refused],
  )
}

/** The position of the turn that has the focus. It stays mounted when it is scrolled out of view. */
function useFocusedTurn() {
  const [position, setPosition] = useState<string>()
  const onFocus = useCallback((event: FocusEvent<HTMLElement>) => {
    setPosition(event.target.closest<HTMLElement>('[data-turn]')?.dataset.turn)
  }, [])
  return { position, onFocus }
}

/** Another user's edit switches the branch for everyone, but not for a user who is editing a message of this branch. */
function useStayOnBranch(edited: string | undefined): void {
  const { session } = useRoom()
  const messages = useView((view) => view.messages)
  const onMessages = useEffectEvent((now: readonly MessageView[]) => {
    const { turns } = session.state
    if (edited === undefined || turns.some(({ message }) => message.id === edited)) return
    if (now.some(({ id }) => id === edited)) session.choose(edited)
  })
  // Not after a change of the turns: then the user has chosen another version.
  useEffect(() => onMessages(messages), [messages])
}
