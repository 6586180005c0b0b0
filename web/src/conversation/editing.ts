// Editing: the message that is being edited, and what it is to say. One at a time; it lives outside of the message, which
// may be scrolled out of the page meanwhile.
import { createContext, use } from 'react'

export interface Editing {
  /** The message's id. */
  readonly id: string
  readonly text: string
}

export interface EditDesk {
  readonly editing: Editing | undefined
  /** @param editing undefined: nothing is edited any more */
  readonly edit: (editing: Editing | undefined) => void
}

export const EditContext = createContext<EditDesk>({ editing: undefined, edit: () => undefined })

export function useEditing(): EditDesk {
  return use(EditContext)
}
