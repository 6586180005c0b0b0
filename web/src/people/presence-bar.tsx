// PresenceBar: who is here now: some faces and a number, and all of them with their devices in a dialog.
import { useState } from 'react'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { Face } from './avatar.tsx'
import type { Here } from './presence-note.ts'
import { useHere } from './use-presence.ts'

const FACES = 3

export function PresenceBar() {
  const { here, count } = useHere()
  const [open, setOpen] = useState(false)
  const others = here.filter(({ isSelf }) => !isSelf)
  if (count <= 1) return null
  const named = others.slice(0, FACES)
  return (
    <>
      <button type='button' className='presence' aria-haspopup='dialog' onClick={() => setOpen(true)}>
        <span className='faces' aria-hidden='true'>
          {named.map(({ key, user, name }) => (
            <Face key={key} user={user} name={name} />
          ))}
        </span>
        <Icon name='eye' />
        <span className='presence-count'>
          {count.toLocaleString('en')} <span className='wide'>here</span>
        </span>
        <span className='unseen'>, who they are</span>
      </button>
      {open ? (
        <Dialog title='Here now' className='here' onClose={() => setOpen(false)}>
          {() => <HereList here={here} count={count} />}
        </Dialog>
      ) : null}
    </>
  )
}

function HereList({ here, count }: { readonly here: readonly Here[]; readonly count: number }) {
  return (
    <>
      <ul className='members'>
        {here.map(({ key, user, name, devices, typing, isSelf }) => (
          <li key={key} className='member'>
            <Face user={user} name={name} />
            <span className='member-name'>
              <span>
                {name}
                {isSelf ? ' (you)' : ''}
              </span>
              {devices.length === 0 ? null : <span className='aside'>{devices.join(', ')}</span>}
            </span>
            {typing ? <span className='chip busy'>writing</span> : null}
          </li>
        ))}
      </ul>
      <p className='aside'>{count.toLocaleString('en')} open windows and programs in all.</p>
    </>
  )
}
