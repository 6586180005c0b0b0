// BudgetLine: the remaining token budget, in a space below the message box that is always reserved for it. Screen
// readers announce when the budget is low and when it is used up, but not each number.
import { useState } from 'react'
import { useChat, useRoom } from '../connection/use-chat.ts'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { useStore } from '../shared/store.ts'
import { useNow } from '../shared/use-now.ts'
import { budgetFacts, budgetNote } from './budget-note.ts'

export function BudgetLine() {
  const { client } = useChat()
  const allowance = useStore(useRoom().allowance)
  const [showsDetails, setShowsDetails] = useState(false)
  // No ticking clock here: screen readers would announce the text every second.
  const note = budgetNote(allowance, client.now())
  return (
    <div className={`budget ${note?.level ?? 'none'}`}>
      <span className='unseen' role='status' aria-label='Budget'>
        {note?.announcement}
      </span>
      {note === undefined ? null : (
        <button type='button' aria-haspopup='dialog' onClick={() => setShowsDetails(true)}>
          {note.level === 'ample' ? null : <Icon name='warning' />} <span className='budget-text'>{note.text}</span>
        </button>
      )}
      {showsDetails ? <BudgetDialog onClose={() => setShowsDetails(false)} /> : null}
    </div>
  )
}

function BudgetDialog({ onClose }: { readonly onClose: () => void }) {
  const allowance = useStore(useRoom().allowance)
  const now = useNow(true, useChat().client)
  return (
    <Dialog title='Remaining' onClose={onClose}>
      {() => (
        <>
          <dl className='facts'>
            {budgetFacts(allowance, now).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          <p className='aside'>Input and output tokens count. Answers stop when the budget runs out.</p>
        </>
      )}
    </Dialog>
  )
}
