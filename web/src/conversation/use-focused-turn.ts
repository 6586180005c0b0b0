// useFocusedTurn: the turn that has the focus, so that it stays in the page when it is scrolled out of sight.
import { type FocusEvent, useCallback, useState } from 'react'

export interface FocusedTurn {
  /** As in its `data-turn`. */
  readonly place: string | undefined
  readonly onFocus: (event: FocusEvent<HTMLElement>) => void
}

export function useFocusedTurn(): FocusedTurn {
  const [place, setPlace] = useState<string>()
  const onFocus = useCallback((event: FocusEvent<HTMLElement>) => {
    setPlace(event.target.closest<HTMLElement>('[data-turn]')?.dataset.turn)
  }, [])
  return { place, onFocus }
}
