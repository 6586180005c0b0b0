// Composer: the message box. While an answer streams, the user chooses whether a new message interrupts it, waits in
// the queue or is added to the answer, and a button stops the answer. Nothing moves when an answer begins or ends.
import { ParleyError } from '@parley/client'
import { type KeyboardEvent, type SubmitEvent, useEffect, useEffectEvent, useRef, useState } from 'react'
import { BudgetLine } from '../budget/budget-line.tsx'
import { errorNote } from '../connection/error-note.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { useEditing } from '../conversation/edit-box.tsx'
import { mayDo } from '../people/roles.ts'
import { TypingIndicator } from '../people/typing-indicator.tsx'
import { useRole } from '../people/use-people.ts'
import { displayText } from '../shared/display-text.ts'
import { BROKEN_PART, ErrorBoundary } from '../shared/error-boundary.tsx'
import { Icon } from '../shared/icon.tsx'
import { isInputMethodKey } from '../shared/input-method.ts'
import { useStore } from '../shared/store.ts'
import { TextBox } from '../shared/text-box.tsx'
import { ChoicePicker } from './choice-picker.tsx'
import { addressed, unavailable as unoffered } from './choices.ts'
import { lengthNote } from './drafts.ts'
import { MentionList, useMentions } from './mention-list.tsx'
import type { SendMode } from './sender.ts'

/** The id of the message box, which other parts focus. */
export const MESSAGE_BOX = 'message-box'

export function Composer() {
  const role = useRole()
  return mayDo(role, 'send') ? <MessageForm /> : <ReadOnlyNote role={role} />
}

/** Replaces the message box for viewers and approvers. */
function ReadOnlyNote({ role }: { readonly role: string | undefined }) {
  return (
    <section className='read-only' id={MESSAGE_BOX} tabIndex={-1} aria-label='Your permissions'>
      <Icon name='eye' />
      <p>
        {mayDo(role, 'decide') ? 'You can approve or deny tool calls.' : 'View only.'} Only editors and owners can send
        messages.
      </p>
    </section>
  )
}

/** While an answer streams. */
const PLACEHOLDERS: Readonly<Record<SendMode, string>> = {
  interrupt: 'Interrupt with a message',
  queue: 'Send after this answer',
  steer: 'Add to this answer',
}

function MessageForm() {
  const room = useRoom()
  const { session, sender, presence, draft: stored } = room
  const draft = useStore(stored)
  const user = useConnection((state) => state.user)
  const [mode, setMode] = useState<SendMode>('interrupt')
  const active = useView((view) => view.activeRun)
  const closed = useConnection((state) => state.status === 'closed')
  const unavailable = useView((view) => view.error !== undefined)
  const input = useRef<HTMLTextAreaElement>(null)
  const hasFocus = useRef(false)
  const tooLong = lengthNote(draft)
  const picked = useStore(room.choice)
  const { offers } = useStore(room.allowance)
  const steers = active !== undefined && mode === 'steer'
  const { text, ...choice } = addressed(draft, picked, offers, steers)
  const mentions = useMentions(draft, offers, (changed) => stored.write(changed))
  const isOffered = unoffered(choice, offers).length === 0
  const disabled = draft.trim() === '' || closed || unavailable || tooLong !== undefined || !isOffered
  const { edit } = useEditing()

  useEffect(() => {
    // On a touch screen the focus would open the keyboard over the conversation.
    if (!window.matchMedia('(pointer: coarse)').matches) input.current?.focus()
  }, [])

  // The stop button and the mode disappear when the answer ends: if one had the focus, the message box gets it.
  useEffect(() => {
    if (active === undefined && hasFocus.current) input.current?.focus()
  }, [active])

  const send = (): void => {
    if (disabled) return
    sender.send(text, mode, choice)
    presence.typing.ended()
    stored.write('')
    input.current?.focus()
  }
  const onSubmit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    send()
  }
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (isInputMethodKey(event) || mentions.onKeyDown(event)) return
    if (event.key === 'ArrowUp' && draft === '') {
      const last = session.state.turns.findLast(({ message, run }) => {
        return run !== undefined && 'author' in message && message.author === user
      })
      if (last === undefined) return
      event.preventDefault()
      edit({ id: last.message.id, text: last.message.text })
    }
    if (event.key !== 'Enter' || event.shiftKey) return
    event.preventDefault()
    send()
  }

  return (
    <form
      className='composer'
      aria-label='Send a message'
      onSubmit={onSubmit}
      onFocus={() => {
        hasFocus.current = true
      }}
      onBlur={(event) => {
        // A button that becomes disabled loses the focus, too. The user has not left the form then.
        if (event.target.matches(':disabled')) return
        hasFocus.current = event.currentTarget.contains(event.relatedTarget)
      }}
    >
      <ErrorBoundary fallback={null}>
        <TypingIndicator />
      </ErrorBoundary>
      <MentionList {...mentions} />
      <div className='composer-box'>
        <TextBox
          ref={input}
          id={MESSAGE_BOX}
          value={draft}
          aria-label='Message'
          placeholder={active === undefined ? 'Send a message' : PLACEHOLDERS[mode]}
          enterKeyHint='send'
          onChange={(changed) => {
            stored.write(changed)
            if (changed.trim() === '') presence.typing.ended()
            else presence.typing.typed()
          }}
          onKeyDown={onKeyDown}
          {...mentions.box}
        />
        <div className='composer-row'>
          {active === undefined ? <Hint /> : <ModeChoice mode={mode} onChange={setMode} />}
          {choice.agent === undefined || choice.agent === picked.agent ? null : (
            <span className='addressee' role='status'>
              {steers ? 'To the agent that is answering' : `To ${displayText(choice.agent)}`}
            </span>
          )}
          {tooLong === undefined ? null : (
            <span className='problem bad' role='alert'>
              {tooLong}
            </span>
          )}
          <div className='buttons'>
            {active === undefined ? null : <StopButton key={active} run={active} />}
            <button type='submit' className='button primary' disabled={disabled}>
              <Icon name='send' /> <span className='label'>Send</span>
            </button>
          </div>
        </div>
      </div>
      <ErrorBoundary fallback={BROKEN_PART}>
        <ChoicePicker />
      </ErrorBoundary>
      <ErrorBoundary fallback={BROKEN_PART}>
        <BudgetLine />
      </ErrorBoundary>
    </form>
  )
}

function Hint() {
  return (
    <p className='hint'>
      <kbd>Enter</kbd> to send, <kbd>Shift</kbd>+<kbd>Enter</kbd> for a new line
    </p>
  )
}

interface ModeProps {
  readonly mode: SendMode
  readonly onChange: (mode: SendMode) => void
}

function ModeChoice({ mode, onChange }: ModeProps) {
  return (
    <fieldset className='send-mode'>
      <legend className='unseen'>When I send a message</legend>
      <ModeOption value='interrupt' label='Interrupt' mode={mode} onChange={onChange} />
      <ModeOption value='queue' label='Queue' mode={mode} onChange={onChange} />
      <ModeOption value='steer' label='Steer' mode={mode} onChange={onChange} />
    </fieldset>
  )
}

function ModeOption({
  value,
  label,
  mode,
  onChange,
}: ModeProps & { readonly value: SendMode; readonly label: string }) {
  return (
    <label>
      <input type='radio' name='send-mode' value={value} checked={mode === value} onChange={() => onChange(value)} />
      <span>{label}</span>
    </label>
  )
}

/** Keyed by its run, so that the next run gets a fresh button. */
function StopButton({ run }: { readonly run: string }) {
  const { session } = useRoom()
  const [stopping, setStopping] = useState(false)
  const [problem, setProblem] = useState<string>()
  const stop = (): void => {
    setStopping(true)
    setProblem(undefined)
    session.cancel(run).catch((error: unknown) => {
      setStopping(false)
      // The run ended before the cancel arrived.
      if (error instanceof ParleyError && error.code === 'no_active_run') return
      setProblem(errorNote(error))
    })
  }
  // Anywhere on the page, except in a dialog: there Esc closes the dialog.
  const onEscape = useEffectEvent((event: globalThis.KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented || isInputMethodKey(event) || stopping) return
    if (document.querySelector('dialog[open]') === null) stop()
  })
  useEffect(() => {
    const listener = (event: globalThis.KeyboardEvent): void => onEscape(event)
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [])
  return (
    <>
      {problem === undefined ? null : (
        <span className='problem bad' role='alert'>
          {problem}
        </span>
      )}
      <button type='button' className='button stop' disabled={stopping} aria-keyshortcuts='Escape' onClick={stop}>
        <Icon name='stop' /> <span className='label'>{stopping ? 'Stopping…' : 'Stop'}</span>
        <kbd>Esc</kbd>
      </button>
    </>
  )
}
