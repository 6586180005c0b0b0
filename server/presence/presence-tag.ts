// The tag of a frame: the same for frames that tell the same. A frame goes to many, and its tag is made once.
import { createHash } from 'node:crypto'
import type { Presence as PresenceFrame } from '@parley/protocol'

const tags = new WeakMap<PresenceFrame, string>()

export function tagOf(frame: PresenceFrame): string {
  const known = tags.get(frame)
  if (known !== undefined) return known
  const { members, count } = frame
  const tag = createHash('sha1')
    .update(JSON.stringify([members, count]))
    .digest('base64url')
    .slice(0, 16)
  tags.set(frame, tag)
  return tag
}
