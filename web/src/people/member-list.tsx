// MemberList: the members and their roles. Owners change roles and remove members; every member may leave.
import { useState } from 'react'
import { useChat, useConnection, useRoom } from '../connection/use-chat.ts'
import { useTask } from '../connection/use-task.ts'
import { Icon } from '../shared/icon.tsx'
import { Avatar } from './avatar.tsx'
import { nameOf } from './names.ts'
import type { Person } from './people.ts'
import { ROLES, roleName } from './roles.ts'
import { useMay, usePeople } from './use-people.ts'

/** The number of members before "Show all". */
const FIRST = 50

export function MemberList({ onLeft }: { readonly onLeft: () => void }) {
  const people = usePeople()
  const self = useConnection((state) => state.user)
  const [all, setAll] = useState(false)
  const members = [...people.members].sort(([a], [b]) => Number(b === self) - Number(a === self))
  const visible = all ? members : members.slice(0, FIRST)
  return (
    <section>
      <h3>
        Members <span className='count'>{members.length}</span>
      </h3>
      <ul className='members'>
        {visible.map(([user, person]) => (
          <Member
            key={user}
            user={user}
            person={person}
            name={nameOf(people, user)}
            isSelf={user === self}
            onLeft={onLeft}
          />
        ))}
      </ul>
      {visible.length === members.length ? null : (
        <button type='button' className='button quiet' onClick={() => setAll(true)}>
          Show all {members.length}
        </button>
      )}
      {people.error === undefined ? null : <p className='bad'>{people.error}</p>}
    </section>
  )
}

interface MemberProps {
  readonly user: string
  readonly person: Person
  readonly name: string
  readonly isSelf: boolean
  readonly onLeft: () => void
}

function Member({ user, person, name, isSelf, onLeft }: MemberProps) {
  const { people } = useRoom()
  const chat = useChat()
  const manages = useMay('manage')
  const task = useTask()
  const [confirming, setConfirming] = useState(false)
  const action = isSelf ? 'Leave' : 'Remove'
  const remove = (): void =>
    task.run(async () => {
      await people.remove(user)
      if (!isSelf) return
      onLeft()
      chat.recent.forget(chat.room.session.id)
      chat.sessionList.refreshSoon()
      chat.startNew()
    })
  return (
    <li className='member' aria-label={name}>
      <Avatar user={user} name={name} />
      <span className='member-name'>
        <span>
          {name}
          {isSelf ? ' (you)' : ''}
        </span>
        {name === user ? null : <span className='aside'>{user}</span>}
      </span>
      {manages ? (
        <select
          aria-label={`Role of ${name}`}
          value={person.role}
          disabled={task.busy}
          onChange={({ target }) => task.run(() => people.setRole(user, target.value))}
        >
          {ROLES.map((role) => (
            <option key={role} value={role}>
              {roleName(role)}
            </option>
          ))}
        </select>
      ) : (
        <span className='chip plain'>{roleName(person.role)}</span>
      )}
      {!manages && !isSelf ? null : confirming ? (
        <span className='buttons confirm'>
          <button type='button' className='button stop' disabled={task.busy} onClick={remove}>
            {isSelf ? 'Leave chat' : `Remove ${name}`}
          </button>
          <button type='button' className='button quiet' onClick={() => setConfirming(false)}>
            Cancel
          </button>
        </span>
      ) : (
        <button
          type='button'
          className='button quiet narrow'
          aria-label={`${action}: ${name}`}
          title={action}
          onClick={() => setConfirming(true)}
        >
          <Icon name='close' />
        </button>
      )}
      {task.problem === undefined ? null : (
        <p className='bad' role='alert'>
          {task.problem}
        </p>
      )}
    </li>
  )
}
