// BudgetLine: what is left of the budget of tokens, below the message box, where there is room for it whether it is shown or not.
// A screen reader is told when it is nearly used up and when it is, and not of each number.
import { useState } from 'react'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { useNow } from '../shared/use-now.ts'
import { budgetFacts, budgetNote } from './budget-note.ts'
import { useAllowance } from './use-allowance.ts'

export function BudgetLine() {
  const allowance = useAllowance()
  const [asked, setAsked] = useState(false)
  // As of the last answer: a text that changed by itself each second would be heard each second.
  const note = budgetNote(allowance, Date.now())
  return (
    <div className={`budget ${note?.level ?? 'none'}`}>
      <span className='unseen' role='status' aria-label='Budget'>
        {note?.said}
      </span>
      {note === undefined ? null : (
        <button type='button' aria-haspopup='dialog' onClick={() => setAsked(true)}>
          {note.level === 'ample' ? null : <Icon name='warning' />} <span className='budget-text'>{note.text}</span>
        </button>
      )}
      {asked ? <BudgetDialog onClose={() => setAsked(false)} /> : null}
    </div>
  )
}

function BudgetDialog({ onClose }: { readonly onClose: () => void }) {
  const allowance = useAllowance()
  const now = useNow(true)
  return (
    <Dialog title='What is left' onClose={onClose}>
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
          <p className='aside'>Questions and answers count together. An answer ends where a budget does.</p>
        </>
      )}
    </Dialog>
  )
}
