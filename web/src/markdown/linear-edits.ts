// LinearEdits: replaces how micromark applies edits to its list of events. Its own way copies all events of the text for every edit, and
// every list item makes one, so that its time grows with the square of the text: alternating lists of 64 kB took 7 s.
import { EditMap } from 'micromark-util-edit-map'
import type { Event } from 'micromark-util-types'

/** The fields that micromark-util-edit-map 1.0 has. */
interface Edits {
  readonly map: [at: number, remove: number, add: Event[]][]
  readonly index: Map<number, unknown>
}

/** Applies the edits, and forgets them. It copies only the events after the first edit. */
function consume(this: Edits, events: Event[]): void {
  const edits = this.map.sort(([a], [b]) => a - b)
  const start = edits[0]?.[0] ?? events.length
  const rest = events.slice(start)
  events.length = start
  let at = 0
  const keepUntil = (end: number): void => {
    for (; at < end; at += 1) {
      const event = rest[at]
      if (event !== undefined) events.push(event)
    }
  }
  for (const [index, remove, add] of edits) {
    keepUntil(index - start)
    for (const event of add) events.push(event)
    at = index - start + remove
  }
  keepUntil(rest.length)
  edits.length = 0
  this.index.clear()
}

export function installLinearEdits(): void {
  Object.assign(EditMap.prototype, { consume })
}
