// ShareDialog: the chat's link, its export, invitations and members. It hides what the user's role does not allow.
import { useRoom } from '../connection/use-chat.ts'
import { ExportSection } from '../conversation/export-section.tsx'
import { Dialog } from '../shared/dialog.tsx'
import { CopyableLink } from './copyable-link.tsx'
import { InviteForm } from './invite-form.tsx'
import { InviteList } from './invite-list.tsx'
import { MemberList } from './member-list.tsx'
import { useHasPeople, useMay } from './use-people.ts'

export function ShareDialog({ onClose }: { readonly onClose: () => void }) {
  const { address } = useRoom()
  const hasPeople = useHasPeople()
  const manages = useMay('manage')
  return (
    <Dialog title='Share chat' className='share' onClose={onClose}>
      {(close) => (
        <>
          {hasPeople && manages ? <InviteForm /> : null}
          <section>
            <h3>Link</h3>
            <p className='aside'>{hasPeople ? 'Only members can open this link.' : 'Anyone with the link can join.'}</p>
            <CopyableLink link={address} label='Copy link' />
          </section>
          <ExportSection />
          {hasPeople ? <MemberList onLeft={close} /> : null}
          {hasPeople && manages ? <InviteList /> : null}
        </>
      )}
    </Dialog>
  )
}
