// InputMethod: tells the keys of the page from those of an input method, as for Chinese, Japanese and Korean. Pure.
import type { KeyboardEvent as ReactKeyboardEvent } from 'react'

/** The `keyCode` of a key that an input method has handled (UI Events, 5.1 and appendix C). */
const HANDLED = 229

/**
 * Whether an input method takes this key, for example Enter to accept a suggestion. Every key handler ignores such keys.
 * Safari ends the composition before the keydown of that Enter, so that its `isComposing` is false already.
 */
export function isInputMethodKey(event: KeyboardEvent | ReactKeyboardEvent): boolean {
  const { isComposing, keyCode } = 'nativeEvent' in event ? event.nativeEvent : event
  return isComposing || keyCode === HANDLED
}
