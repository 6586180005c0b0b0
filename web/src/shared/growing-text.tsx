// GrowingText: a text whose DOM node stays the same while the text grows, so that the reader's selection in it stays.
// React would replace the node's whole data, which moves a selection to its beginning.
import { useLayoutEffect, useRef, useState } from 'react'

interface Props {
  readonly text: string
  /** Whether more text may follow. */
  readonly growing: boolean
}

export function GrowingText({ text, growing }: Props) {
  // The element stays when the text is complete.
  const [grew] = useState(growing)
  return grew ? <Appended text={text} /> : text
}

function Appended({ text }: Pick<Props, 'text'>) {
  const [first] = useState(text)
  const element = useRef<HTMLSpanElement>(null)
  useLayoutEffect(() => {
    const node = element.current?.firstChild
    if (node instanceof Text) update(node, text)
    // An extension has replaced the node, as translators do.
    else element.current?.replaceChildren(text)
  }, [text])
  // React has nothing to change, so it leaves the node alone.
  return <span ref={element}>{first}</span>
}

/** Replaces only what differs. */
function update(node: Text, text: string): void {
  const { data } = node
  if (data === text) return
  let same = 0
  while (same < data.length && same < text.length && data[same] === text[same]) same += 1
  node.replaceData(same, data.length - same, text.slice(same))
}
