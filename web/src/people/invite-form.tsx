// InviteForm: creates an invitation link with a role and a lifetime. The link is shown once, because the server stores
// only its hash.
import { type SubmitEvent, useState } from 'react'
import { inviteLink } from '../auth/link-fragment.ts'
import { useRoom } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import { CopyableLink } from './copyable-link.tsx'
import { ROLES, roleDescription, roleName } from './roles.ts'

const LIFETIMES: readonly (readonly [seconds: number, label: string])[] = [
  [60 * 60, '1 hour'],
  [24 * 60 * 60, '1 day'],
  [7 * 24 * 60 * 60, '7 days'],
  [30 * 24 * 60 * 60, '30 days'],
]

export function InviteForm() {
  const { people, address } = useRoom()
  const [role, setRole] = useState('editor')
  const [ttl, setTtl] = useState(7 * 24 * 60 * 60)
  const [link, setLink] = useState<string>()
  const task = useTask()
  const create = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    task.run(async () => setLink(inviteLink(address, await people.invite(role, ttl))))
  }
  // The previous link would not match the new choice.
  const choose = (change: () => void): void => {
    change()
    setLink(undefined)
  }
  return (
    <section>
      <h3>Invite</h3>
      <form className='invite' onSubmit={create}>
        <label>
          Role
          <select value={role} onChange={({ target }) => choose(() => setRole(target.value))}>
            {ROLES.map((each) => (
              <option key={each} value={each}>
                {roleName(each)}: {roleDescription(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          Expires after
          <select value={ttl} onChange={({ target }) => choose(() => setTtl(Number(target.value)))}>
            {LIFETIMES.map(([seconds, label]) => (
              <option key={seconds} value={seconds}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <button type='submit' className='button primary' disabled={task.busy}>
          Create link
        </button>
      </form>
      <div className='news' aria-live='polite'>
        {link === undefined ? null : (
          <>
            <CopyableLink link={link} label='Copy invitation' />
            <p className='aside'>
              Anyone with the link can join as {roleName(role).toLowerCase()}. Copy it now: it won’t be shown again. You
              can revoke it below.
            </p>
          </>
        )}
        {task.problem === undefined ? null : <p className='bad'>{task.problem}</p>}
      </div>
    </section>
  )
}
