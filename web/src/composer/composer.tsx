// Composer: where a message is written. While an answer is given, sending interrupts it or waits for its end, as
// chosen, and a button stops it. Rows and buttons keep their places whether an answer is given or not.
import { ParleyError } from '@parley/client'
import { type KeyboardEvent, type SubmitEvent, useEffect, useEffectEvent, useRef, useState } from 'react'
import { BudgetLine } from '../budget/budget-line.tsx'
import { refusalNote } from '../connection/refusal-note.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { mayDo } from '../people/roles.ts'
import { TypingLine } from '../people/typing-line.tsx'
import { useRole } from '../people/use-people.ts'
import { Icon } from '../shared/icon.tsx'
import type { Manner } from './sender.ts'
import { useDraft } from './use-draft.ts'

/** The id of the text's box, for who wants the focus there. */
export const MESSAGE_BOX = 'message-box'

export function Composer() {
  const role = useRole()
  return mayDo(role, 'send') ? <Writing /> : <OnlyReading role={role} />
}

/** In the composer's place for who may not write here. */
function OnlyReading({ role }: { readonly role: string | undefined }) {
  return (
    <section className='only-reading' id={MESSAGE_BOX} tabIndex={-1} aria-label='Why there is no message box'>
      <Icon name='eye' />
      <p>
        {mayDo(role, 'decide')
          ? 'You decide here about what tools want to do. Writing is for editors and owners.'
          : 'You are watching. Writing is for editors and owners.'}
      </p>
    </section>
  )
}

function Writing() {
  const { session, sender, presence } = useRoom()
  const [draft, setDraft] = useDraft(session.id)
  const [manner, setManner] = useState<Manner>('now')
  const active = useView((view) => view.activeRun)
  const ended = useConnection((state) => state.status === 'closed')
  const refused = useView((view) => view.error !== undefined)
  const input = useRef<HTMLTextAreaElement>(null)
  const hasFocus = useRef(false)
  const blank = draft.trim() === ''

  useEffect(() => {
    // On a touch screen the focus would raise the keyboard over what is to be read.
    if (!window.matchMedia('(pointer: coarse)').matches) input.current?.focus()
  }, [])

  // What stops or chooses goes when the answer ends: a focus that was there comes back to the text.
  useEffect(() => {
    if (active === undefined && hasFocus.current) input.current?.focus()
  }, [active])

  const send = (): void => {
    if (blank || ended || refused) return
    sender.send(draft, manner)
    presence.typing.ended()
    setDraft('')
    input.current?.focus()
  }
  const onSubmit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    send()
  }
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While an input method composes, Enter takes its proposal.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    send()
  }

  return (
    <form
      className='composer'
      aria-label='Write a message'
      onSubmit={onSubmit}
      onFocus={() => {
        hasFocus.current = true
      }}
      onBlur={(event) => {
        // A button that is disabled under the focus loses it, too: that is no leaving.
        if (event.target.matches(':disabled')) return
        hasFocus.current = event.currentTarget.contains(event.relatedTarget)
      }}
    >
      <TypingLine />
      <div className='composer-box'>
        <div className='composer-input' data-value={draft}>
          <textarea
            ref={input}
            id={MESSAGE_BOX}
            value={draft}
            rows={1}
            aria-label='Message'
            placeholder={active === undefined ? 'Write a message' : 'Write to redirect the answer'}
            enterKeyHint='send'
            onChange={({ target }) => {
              setDraft(target.value)
              if (target.value.trim() === '') presence.typing.ended()
              else presence.typing.typed()
            }}
            onKeyDown={onKeyDown}
          />
        </div>
        <div className='composer-row'>
          {active === undefined ? <Hint /> : <MannerChoice manner={manner} onChange={setManner} />}
          <div className='buttons'>
            {active === undefined ? null : <Stop key={active} run={active} />}
            <button type='submit' className='button primary' disabled={blank || ended || refused}>
              <Icon name='send' /> <span className='label'>Send</span>
            </button>
          </div>
        </div>
      </div>
      <BudgetLine />
    </form>
  )
}

function Hint() {
  return (
    <p className='hint'>
      <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> begins a line
    </p>
  )
}

interface MannerProps {
  readonly manner: Manner
  readonly onChange: (manner: Manner) => void
}

function MannerChoice({ manner, onChange }: MannerProps) {
  return (
    <fieldset className='manner'>
      <legend className='unseen'>What sending does to the answer</legend>
      <Choice value='now' label='Interrupt' manner={manner} onChange={onChange} />
      <Choice value='after' label='After this answer' manner={manner} onChange={onChange} />
    </fieldset>
  )
}

function Choice({ value, label, manner, onChange }: MannerProps & { readonly value: Manner; readonly label: string }) {
  return (
    <label>
      <input type='radio' name='manner' value={value} checked={manner === value} onChange={() => onChange(value)} />
      <span>{label}</span>
    </label>
  )
}

/** Keyed by its run, so that it begins anew with the next one. */
function Stop({ run }: { readonly run: string }) {
  const { session } = useRoom()
  const [asked, setAsked] = useState(false)
  const [problem, setProblem] = useState<string>()
  const stop = (): void => {
    setAsked(true)
    setProblem(undefined)
    session.cancel(run).catch((error: unknown) => {
      setAsked(false)
      // It ended by itself before the cancel came: that is what was wanted.
      if (error instanceof ParleyError && error.code === 'no_active_run') return
      setProblem(refusalNote(error))
    })
  }
  // Everywhere on the page but in a dialog, which it closes.
  const onEscape = useEffectEvent((event: globalThis.KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing || asked) return
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
      <button type='button' className='button stop' disabled={asked} aria-keyshortcuts='Escape' onClick={stop}>
        <Icon name='stop' /> <span className='label'>{asked ? 'Stopping' : 'Stop'}</span>
        <kbd>Esc</kbd>
      </button>
    </>
  )
}
