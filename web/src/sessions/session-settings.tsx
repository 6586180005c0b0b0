// SessionSettings: the dialog of one chat in the list: rename it, remove it from this browser's list, or delete it for
// everyone, after a confirmation.
import { type SubmitEvent, useState } from 'react'
import { useChat } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import { mayDo } from '../people/roles.ts'
import { Dialog } from '../shared/dialog.tsx'
import type { MergedSession } from './merged-sessions.ts'

/** The server's limit. */
const TITLE_MAX = 255

interface Props {
  readonly session: MergedSession
  readonly onClose: () => void
}

export function SessionSettings({ session, onClose }: Props) {
  const { id, title, role } = session
  const chat = useChat()
  // If the server does not list the session, the user's role is unknown.
  const manages = role !== undefined && mayDo(role, 'manage')
  return (
    <Dialog title='Chat settings' className='settings' onClose={onClose}>
      {(close) => (
        <>
          {manages ? <Rename id={id} title={title} onDone={close} /> : <p dir='auto'>{title}</p>}
          {role === undefined ? (
            <section>
              <h3>Remove from list</h3>
              <p className='aside'>Removes this chat from this browser only.</p>
              <button
                type='button'
                className='button'
                onClick={() => {
                  chat.recent.forget(id)
                  close()
                }}
              >
                Remove
              </button>
            </section>
          ) : null}
          {manages ? <Delete id={id} onDone={close} /> : null}
        </>
      )}
    </Dialog>
  )
}

interface PartProps {
  readonly id: string
  readonly onDone: () => void
}

function Rename({ id, title, onDone }: PartProps & { readonly title: string }) {
  const chat = useChat()
  const [name, setName] = useState(title)
  const task = useTask()
  const newTitle = name.trim()
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    if (newTitle === '') return
    task.run(async () => {
      await chat.sessionList.rename(id, newTitle)
      onDone()
    })
  }
  return (
    <form className='rename' onSubmit={submit}>
      <label>
        Title
        <input
          type='text'
          value={name}
          maxLength={TITLE_MAX}
          autoComplete='off'
          dir='auto'
          onChange={({ target }) => setName(target.value)}
        />
      </label>
      <button type='submit' className='button primary' disabled={newTitle === '' || task.busy}>
        Rename
      </button>
      {task.problem === undefined ? null : (
        <p className='bad' role='alert'>
          {task.problem}
        </p>
      )}
    </form>
  )
}

function Delete({ id, onDone }: PartProps) {
  const chat = useChat()
  const [confirming, setConfirming] = useState(false)
  const task = useTask()
  const remove = (): void =>
    task.run(async () => {
      await chat.sessionList.delete(id)
      chat.recent.forget(id)
      onDone()
      if (chat.room.session.id === id) chat.startNew()
    })
  return (
    <section>
      <h3>Delete</h3>
      <p className='aside'>Permanently deletes this chat for everyone.</p>
      <div className='buttons'>
        {confirming ? (
          <>
            <button type='button' className='button stop' disabled={task.busy} onClick={remove}>
              {task.busy ? 'Deleting…' : 'Delete for everyone'}
            </button>
            <button type='button' className='button quiet' disabled={task.busy} onClick={() => setConfirming(false)}>
              Cancel
            </button>
          </>
        ) : (
          <button type='button' className='button' onClick={() => setConfirming(true)}>
            Delete chat
          </button>
        )}
      </div>
      {task.problem === undefined ? null : (
        <p className='bad' role='alert'>
          {task.problem}
        </p>
      )}
    </section>
  )
}
