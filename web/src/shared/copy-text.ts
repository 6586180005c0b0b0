// CopyText: copies a text to the clipboard, also on a page over plain HTTP, where browsers have no clipboard API.

/** @throws if the browser does not allow it */
export async function copyText(text: string): Promise<void> {
  // Missing on an insecure page. It may also be denied, as in a frame.
  const written = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  )
  if (written !== true && !copyBySelection(text)) throw new Error('Couldn’t copy.')
}

function copyBySelection(text: string): boolean {
  const { activeElement } = document
  const box = document.createElement('textarea')
  box.value = text
  box.readOnly = true
  box.className = 'unseen'
  // Inside an open dialog, because the rest of the page cannot have the focus then.
  const parent = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body
  parent.append(box)
  const selection = document.getSelection()
  const ranges = Array.from({ length: selection?.rangeCount ?? 0 }, (_, at) => selection?.getRangeAt(at))
  box.focus({ preventScroll: true })
  box.select()
  try {
    // Deprecated, but the only way without the clipboard API.
    return document.execCommand('copy')
  } finally {
    box.remove()
    selection?.removeAllRanges()
    for (const range of ranges) if (range !== undefined) selection?.addRange(range)
    if (activeElement instanceof HTMLElement) activeElement.focus({ preventScroll: true })
  }
}
