// The platform's own keys: shortcuts use Cmd on Apple's devices, where Ctrl belongs to the editing of text.

export const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform)

/** Whether the key of shortcuts is held, and no other modifier. */
export function isShortcutKey({ metaKey, ctrlKey, shiftKey, altKey }: KeyboardEvent): boolean {
  return (IS_MAC ? metaKey && !ctrlKey : ctrlKey && !metaKey) && !shiftKey && !altKey
}
