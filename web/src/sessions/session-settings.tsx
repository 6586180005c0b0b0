// SessionSettings: what can be done with one session of the list: give it another name, take it off this browser's list,
// delete it for everybody, which is asked for twice.
import { type SubmitEvent, useState } from 'react'
import { useChat } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import { mayDo } from '../people/roles.ts'
import { Dialog } from '../shared/dialog.tsx'
import type { ShownSession } from './merged-sessions.ts'

/** As long as the server takes it. */
const TITLE_MAX = 255

interface Props {
  readonly shown: ShownSession
  readonly onClose: () => void
}

export function SessionSettings({ shown, onClose }: Props) {
  const { id, title, role } = shown
  const chat = useChat()
  // Of one that only this browser knows of, nothing is known that could be changed.
  const manages = role !== undefined && mayDo(role, 'manage')
  return (
    <Dialog title='Session' className='settings' onClose={onClose}>
      {(close) => (
        <>
          {manages ? <Rename id={id} title={title} onDone={close} /> : <p>{title}</p>}
          {role === undefined ? (
            <section>
              <h3>Forget</h3>
              <p className='aside'>It goes off the list of this browser. The session itself stays.</p>
              <button
                type='button'
                className='button'
                onClick={() => {
                  chat.recent.forget(id)
                  close()
                }}
              >
                Forget it
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
  const given = name.trim()
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    if (given === '') return
    task.run(async () => {
      await chat.directory.rename(id, given)
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
          onChange={({ target }) => setName(target.value)}
        />
      </label>
      <button type='submit' className='button primary' disabled={given === '' || task.busy}>
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
  const [asked, setAsked] = useState(false)
  const task = useTask()
  const remove = (): void =>
    task.run(async () => {
      await chat.directory.delete(id)
      chat.recent.forget(id)
      onDone()
      if (chat.room.session.id === id) chat.begin()
    })
  return (
    <section>
      <h3>Delete</h3>
      <p className='aside'>For everybody, and for good: all that was said in it goes.</p>
      <div className='buttons'>
        {asked ? (
          <>
            <button type='button' className='button stop' disabled={task.busy} onClick={remove}>
              {task.busy ? 'Deleting' : 'Delete for everybody'}
            </button>
            <button type='button' className='button quiet' disabled={task.busy} onClick={() => setAsked(false)}>
              Keep it
            </button>
          </>
        ) : (
          <button type='button' className='button' onClick={() => setAsked(true)}>
            Delete this session
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
