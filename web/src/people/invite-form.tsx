// InviteForm: makes a link that lets people in, with a role and a life time. The link is shown once: the server keeps
// only what proves it.
import { type SubmitEvent, useState } from 'react'
import { inviteLink } from '../auth/link-fragment.ts'
import { useRoom } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import { LinkLine } from './copyable-link.tsx'
import { ROLES, roleDoes, roleName } from './roles.ts'

const LIVES: readonly (readonly [seconds: number, label: string])[] = [
  [60 * 60, 'an hour'],
  [24 * 60 * 60, 'a day'],
  [7 * 24 * 60 * 60, 'a week'],
  [30 * 24 * 60 * 60, '30 days'],
]

export function InviteForm() {
  const { people, address } = useRoom()
  const [role, setRole] = useState('editor')
  const [ttl, setTtl] = useState(7 * 24 * 60 * 60)
  const [link, setLink] = useState<string>()
  const task = useTask()
  const make = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    task.run(async () => setLink(inviteLink(address, await people.invite(role, ttl))))
  }
  // A link for what is chosen no longer would mislead.
  const choose = (change: () => void): void => {
    change()
    setLink(undefined)
  }
  return (
    <section>
      <h3>Invite</h3>
      <form className='invite' onSubmit={make}>
        <label>
          As
          <select value={role} onChange={({ target }) => choose(() => setRole(target.value))}>
            {ROLES.map((each) => (
              <option key={each} value={each}>
                {roleName(each)}: {roleDoes(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          For
          <select value={ttl} onChange={({ target }) => choose(() => setTtl(Number(target.value)))}>
            {LIVES.map(([seconds, label]) => (
              <option key={seconds} value={seconds}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <button type='submit' className='button primary' disabled={task.busy}>
          Make a link
        </button>
      </form>
      <div className='news' aria-live='polite'>
        {link === undefined ? null : (
          <>
            <LinkLine link={link} label='Copy invitation' />
            <p className='aside'>
              Whoever has it can join as {roleName(role).toLowerCase()}. It is shown only now; it can be taken back
              below.
            </p>
          </>
        )}
        {task.problem === undefined ? null : <p className='bad'>{task.problem}</p>}
      </div>
    </section>
  )
}
