// InviteList: the pending invitations, each with a button that revokes it.
import { useRoom } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import type { PendingInvite } from './people.ts'
import { roleName } from './roles.ts'
import { usePeople } from './use-people.ts'

export function InviteList() {
  const { invites } = usePeople()
  if (invites.length === 0) return null
  return (
    <section>
      <h3>
        Pending invitations <span className='count'>{invites.length}</span>
      </h3>
      <ul className='members'>
        {invites.map((invite) => (
          <Invite key={invite.invite} invite={invite} />
        ))}
      </ul>
    </section>
  )
}

function Invite({ invite: { invite, role, until } }: { readonly invite: PendingInvite }) {
  const { people } = useRoom()
  const task = useTask()
  const expiry = new Date(until)
  const at = expiry.toLocaleString(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
  return (
    <li className='member'>
      <span className='member-name'>
        <span>{roleName(role)}</span>
        <span className='aside'>
          expires <time dateTime={expiry.toISOString()}>{at}</time>
        </span>
      </span>
      <button
        type='button'
        className='button quiet'
        aria-label={`Revoke: ${roleName(role)}, expires ${at}`}
        disabled={task.busy}
        onClick={() => task.run(() => people.revoke(invite))}
      >
        Revoke
      </button>
      {task.problem === undefined ? null : (
        <p className='bad' role='alert'>
          {task.problem}
        </p>
      )}
    </li>
  )
}
