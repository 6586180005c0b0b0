// Conversation: the turns of the branch that is shown, each a message with its answer; then what was not taken. Only the turns
// near what is seen are in the page, so that a long conversation is as light as a short one. The list renders when a
// message comes; while an answer streams, only that answer does.

import type { MessageView } from '@parley/client'
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react'
import { Virtualizer } from 'virtua'
import type { Outgoing } from '../composer/unsent-messages.ts'
import { useSender } from '../composer/use-sender.ts'
import { useRoom, useView } from '../connection/use-chat.ts'
import { Icon } from '../shared/icon.tsx'
import { ListPlace } from '../shared/list-place.tsx'
import { EditContext, type Editing } from './editing.ts'
import { type Item, Turn } from './turn.tsx'
import { useFocusedTurn } from './use-focused-turn.ts'
import { useStickToEnd } from './use-stick-to-end.ts'
import { VersionNews } from './versions.tsx'

/** Pixels above and below what is seen that are in the page, too: a few screens, so that nobody scrolls into nothing. */
const AROUND = 1_500

export function Conversation() {
  const { state } = useSender()
  const items = useItems(state.unsent)
  const box = useRef<HTMLElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const { atEnd, toEnd } = useStickToEnd(box, content)
  const focused = useFocusedTurn()
  useEffect(() => {
    if (state.sends > 0) toEnd()
  }, [state.sends, toEnd])
  const [editing, setEditing] = useState<Editing>()
  const desk = useMemo(() => ({ editing, edit: setEditing }), [editing])
  useStayWith(editing?.id)
  const kept = items.flatMap(({ place, id }, at) => (place === focused.place || id === editing?.id ? [at] : []))

  return (
    <main className='conversation'>
      <h2 className='unseen'>Conversation</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <section className='conversation-box' ref={box} tabIndex={0} aria-label='Conversation' onFocus={focused.onFocus}>
        <div className='conversation-content' ref={content}>
          {items.length === 0 ? <Welcome /> : null}
          <EditContext value={desk}>
            <Virtualizer as='ol' item={ListPlace} data={items} scrollRef={box} bufferSize={AROUND} keepMounted={kept}>
              {(item) => <Turn key={item.place} item={item} />}
            </Virtualizer>
          </EditContext>
        </div>
      </section>
      <VersionNews />
      {atEnd ? null : (
        <button type='button' className='to-end' onClick={toEnd}>
          <Icon name='down' /> Jump to latest
        </button>
      )}
    </main>
  )
}

function useItems(unsent: readonly Outgoing[]): readonly Item[] {
  const turns = useView((view) => view.turns)
  return useMemo(
    () => [
      ...turns.map((turn): Item => ({ kind: 'turn', place: `after ${turn.after}`, id: turn.message.id, turn })),
      ...unsent.map((message): Item => ({ kind: 'unsent', place: `unsent ${message.id}`, id: message.id, message })),
    ],
    [turns, unsent],
  )
}

/** Somebody else's edit shows another branch: not to who is editing in this one. */
function useStayWith(edited: string | undefined): void {
  const { session } = useRoom()
  const messages = useView((view) => view.messages)
  const onMessages = useEffectEvent((now: readonly MessageView[]) => {
    const { turns } = session.state
    if (edited === undefined || turns.some(({ message }) => message.id === edited)) return
    if (now.some(({ id }) => id === edited)) session.choose(edited)
  })
  // Not when the turns change: whoever goes to another version means to.
  useEffect(() => onMessages(messages), [messages])
}

function Welcome() {
  const live = useView((view) => view.status === 'live')
  if (!live) return null
  return (
    <div className='welcome'>
      <h2>A new conversation</h2>
      <p>
        It lives at this page’s address: open the address in another tab or on another device to join it, now or later.
        You can leave in the middle of an answer, and interrupt one by writing.
      </p>
    </div>
  )
}
