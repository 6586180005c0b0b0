// SlicedAttention: limits the search for the partner of an emphasis marker. Without a limit, the parser's time grows with
// the square of the markers in a paragraph. Pure.
import type { Construct, Event, Extension, Resolver } from 'micromark-util-types'

/** Markers in one slice of a paragraph, or twice as many. A marker and its partner are in the same slice. */
export const SLICE = 200

/** An extension with emphasis, whose paragraphs are resolved in slices. */
export function slicedAttention(extension: Extension): Extension {
  const { text = {}, insideSpan } = extension
  const sliced = new Map<Construct, Construct>()
  const slice = (construct: Construct): Construct => {
    const known = sliced.get(construct) ?? inSlices(construct)
    sliced.set(construct, known)
    return known
  }
  const texts = Object.entries(text).map(([code, constructs]) => [code, [constructs ?? []].flat().map(slice)])
  // Every construct of a span is one of the text, too.
  const spans = [insideSpan?.null ?? []].flat().map((construct) => slice(construct as Construct))
  return { ...extension, text: Object.fromEntries(texts), insideSpan: { null: spans } }
}

function inSlices(construct: Construct): Construct {
  const { resolveAll } = construct
  if (resolveAll === undefined) return construct
  const resolver: Resolver = (events, context) => {
    const ends = sliceEnds(events)
    if (ends.length === 0) return resolveAll(events, context)
    const slices = [...ends, events.length].map((end, at) => resolveAll(events.slice(ends[at - 1] ?? 0, end), context))
    // The parser keeps the array, and ignores another one.
    events.length = 0
    for (const slice of slices) for (const event of slice) append(events, event)
    return events
  }
  return { ...construct, resolveAll: resolver }
}

/** Joins markers without a partner to the text before them, for which the parser would take long. */
function append(events: Event[], event: Event): void {
  const last = events.at(-1)
  const [kind, token] = event
  if (last?.[0] !== 'exit' || last[1].type !== 'data' || token.type !== 'data') events.push(event)
  else if (kind === 'enter') last[1].end = token.end
}

/** Where slices end: before a marker that can only begin an emphasis, if there is one, so that few pairs are separated. */
function sliceEnds(events: Parameters<Resolver>[0]): readonly number[] {
  const ends: number[] = []
  let markers = 0
  for (const [at, [kind, token]] of events.entries()) {
    if (kind !== 'enter' || !MARKERS.has(token.type)) continue
    if (markers >= 2 * SLICE || (markers >= SLICE && token._close !== true)) {
      ends.push(at)
      markers = 0
    }
    markers += 1
  }
  return ends
}

const MARKERS: ReadonlySet<string> = new Set(['attentionSequence', 'strikethroughSequenceTemporary'])
