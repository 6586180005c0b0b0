// PresenceBar: the people online: some avatars and a number, and a dialog that lists everyone with their devices.
import { useState } from 'react'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { Avatar } from './avatar.tsx'
import type { PresentPerson } from './presence-note.ts'
import { usePresence } from './use-people.ts'

const AVATARS = 3

export function PresenceBar() {
  const { people, count } = usePresence()
  const [open, setOpen] = useState(false)
  if (count <= 1) return null
  const others = people.filter(({ isSelf }) => !isSelf).slice(0, AVATARS)
  return (
    <>
      <button type='button' className='presence' aria-haspopup='dialog' onClick={() => setOpen(true)}>
        <span className='avatars' aria-hidden='true'>
          {others.map(({ key, user, name }) => (
            <Avatar key={key} user={user} name={name} />
          ))}
        </span>
        <Icon name='eye' />
        <span className='presence-count'>
          {count.toLocaleString('en')} <span className='wide'>online</span>
        </span>
        <span className='unseen'>, show people</span>
      </button>
      {open ? (
        <Dialog title='Online now' className='online' onClose={() => setOpen(false)}>
          {() => <PresenceList people={people} count={count} />}
        </Dialog>
      ) : null}
    </>
  )
}

function PresenceList({ people, count }: { readonly people: readonly PresentPerson[]; readonly count: number }) {
  return (
    <>
      <ul className='members'>
        {people.map(({ key, user, name, devices, typing, isSelf }) => (
          <li key={key} className='member'>
            <Avatar user={user} name={name} />
            <span className='member-name'>
              <span>
                {name}
                {isSelf ? ' (you)' : ''}
              </span>
              {devices.length === 0 ? null : <span className='aside'>{devices.join(', ')}</span>}
            </span>
            {typing ? <span className='chip busy'>typing</span> : null}
          </li>
        ))}
      </ul>
      <p className='aside'>{count.toLocaleString('en')} connections in total, including programs.</p>
    </>
  )
}
