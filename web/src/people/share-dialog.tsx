// ShareDialog: the session's link, an invitation for who is no member yet, and who is. What a person may not do is not
// offered to them.

import { useRoom } from '../connection/use-chat.ts'
import { Dialog } from '../shared/dialog.tsx'
import { LinkLine } from './copyable-link.tsx'
import { InviteForm } from './invite-form.tsx'
import { InviteList } from './invite-list.tsx'
import { MemberList } from './member-list.tsx'
import { useHasPeople, useMay } from './use-people.ts'

export function ShareDialog({ onClose }: { readonly onClose: () => void }) {
  const { address } = useRoom()
  const hasPeople = useHasPeople()
  const manages = useMay('manage')
  return (
    <Dialog title='Share this session' className='share' onClose={onClose}>
      {(close) => (
        <>
          {hasPeople && manages ? <InviteForm /> : null}
          <section>
            <h3>Link</h3>
            <p className='aside'>
              {hasPeople ? 'For members only: others are told to ask for an invitation.' : 'Whoever has it can join.'}
            </p>
            <LinkLine link={address} label='Copy link' />
          </section>
          {hasPeople ? <MemberList onLeft={close} /> : null}
          {hasPeople && manages ? <InviteList /> : null}
        </>
      )}
    </Dialog>
  )
}
