// Shortcuts: the keys that work anywhere on the page, and the sheet that lists them and those of its parts.
import { useEffect, useEffectEvent } from 'react'
import { Dialog } from './shared/dialog.tsx'
import { isInputMethodKey } from './shared/input-method.ts'
import { IS_MAC, isShortcutKey } from './shared/platform.ts'

const MOD = IS_MAC ? '⌘' : 'Ctrl'

const SHEET: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['Enter'], 'Send the message'],
  [['Shift', 'Enter'], 'Start a new line'],
  [['↑'], 'Edit your last message, in the empty message box'],
  [['Esc'], 'Cancel editing, close a search or a dialog, or stop the answer'],
  [[MOD, 'F'], 'Search this chat'],
  [['Enter'], 'Next match, in the search'],
  [['Shift', 'Enter'], 'Previous match, in the search'],
  [[MOD, 'K'], 'Search chats'],
  [['?'], 'Show the keyboard shortcuts'],
]

interface Props {
  /** Opens the search of chats. */
  readonly onSearch: () => void
  readonly onSheet: () => void
}

/** Listens for the keys of the page. While a dialog is open, they belong to it. */
export function useShortcuts({ onSearch, onSheet }: Props): void {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || isInputMethodKey(event)) return
    const isSearch = isShortcutKey(event) && event.key.toLowerCase() === 'k'
    // With a modifier, "?" belongs to the browser. On some keyboards it needs AltGr.
    const isSheet = event.key === '?' && !event.ctrlKey && !event.metaKey && !isEditable(event.target)
    if (!isSearch && !isSheet) return
    event.preventDefault()
    if (document.querySelector('dialog[open]') !== null) return
    if (isSearch) onSearch()
    else onSheet()
  })
  useEffect(() => {
    const listener = (event: KeyboardEvent): void => onKeyDown(event)
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [])
}

function isEditable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select'))
}

export function ShortcutSheet({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title='Keyboard shortcuts' className='shortcuts' onClose={onClose}>
      {() => (
        <dl>
          {SHEET.map(([keys, what]) => (
            <div key={what} className='shortcut-row'>
              <dt>
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      )}
    </Dialog>
  )
}
