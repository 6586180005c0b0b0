// InviteList: the invitations that still let somebody in, to be taken back.
import { useRoom } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import type { OpenInvite } from './people.ts'
import { roleName } from './roles.ts'
import { usePeople } from './use-people.ts'

export function InviteList() {
  const { invites } = usePeople()
  if (invites.length === 0) return null
  return (
    <section>
      <h3>
        Open invitations <span className='count'>{invites.length}</span>
      </h3>
      <ul className='members'>
        {invites.map((invite) => (
          <Invite key={invite.invite} invite={invite} />
        ))}
      </ul>
    </section>
  )
}

function Invite({ invite: { invite, role, until } }: { readonly invite: OpenInvite }) {
  const { people } = useRoom()
  const task = useTask()
  const over = new Date(until)
  const at = over.toLocaleString(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
  const label = `${roleName(role)}, until ${at}`
  return (
    <li className='member'>
      <span className='member-name'>
        <span>{roleName(role)}</span>
        <span className='aside'>
          until <time dateTime={over.toISOString()}>{at}</time>
        </span>
      </span>
      <button
        type='button'
        className='button quiet'
        aria-label={`Take back: ${label}`}
        disabled={task.busy}
        onClick={() => task.run(() => people.revoke(invite))}
      >
        Take back
      </button>
      {task.problem === undefined ? null : (
        <p className='bad' role='alert'>
          {task.problem}
        </p>
      )}
    </li>
  )
}
