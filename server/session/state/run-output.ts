// RunOutput: what a run has put out so far, as an immutable list that grows at its end in O(1), so
// that a token costs the same at the end of a long answer as at its beginning. Every so many neighbours become one
// part: thousands of runs hold what they have said, and an object for each token takes ten times its text.
import type { OutputPart } from '@parley/protocol'

type TextKind = 'text' | 'reasoning'

/** Outputs in a row that are made one part. */
const ROW = 32

/** A list, newest first; undefined is the empty one. One object for each output: there is one for every token. */
export interface RunOutput {
  /** An output of this kind, or a `part` of an earlier fold. */
  readonly kind: TextKind | 'part'
  readonly index: number
  readonly text: string
  readonly part: OutputPart | undefined
  readonly before: RunOutput | undefined
  /** How many neighbouring outputs of its kind, itself the last, stand here singly. */
  readonly row: number
}

/** @param index the run's index of this output */
export function addOutput(before: RunOutput | undefined, kind: TextKind, index: number, text: string): RunOutput {
  const row = before !== undefined && before.kind === kind && before.index + 1 === index ? before.row + 1 : 1
  const added = { kind, index, text, part: undefined, before, row }
  return row < ROW ? added : asPart(added, kind)
}

/** @param index of the first */
export function addOutputs(
  before: RunOutput | undefined,
  kind: TextKind,
  index: number,
  texts: readonly string[],
): RunOutput | undefined {
  if (texts.length < ROW / 2) return texts.reduce((list, text, at) => addOutput(list, kind, index + at, text), before)
  return addPart(before, { type: kind, text: texts.join(''), index, lengths: texts.map(({ length }) => length) })
}

export function addPart(before: RunOutput | undefined, part: OutputPart): RunOutput {
  return { kind: 'part', index: 0, text: '', part, before, row: 0 }
}

export function fromParts(parts: readonly OutputPart[]): RunOutput | undefined {
  return parts.reduce<RunOutput | undefined>((list, part) => addPart(list, part), undefined)
}

/** Whether the tool call stands in it already, as it does after a snapshot. */
export function hasCall(output: RunOutput | undefined, call: string): boolean {
  for (let list = output; list !== undefined; list = list.before) {
    if (list.part?.type === 'tool' && list.part.call === call) return true
  }
  return false
}

/** Ids of the steering messages that the run has taken, newest first. */
export function takenMessages(output: RunOutput | undefined): string[] {
  const taken: string[] = []
  for (let list = output; list !== undefined; list = list.before) {
    if (list.part?.type === 'message') taken.push(list.part.message)
  }
  return taken
}

/** Oldest first; neighbouring outputs of one kind become one part that remembers their lengths. */
export function toParts(output: RunOutput | undefined): OutputPart[] {
  const pieces: RunOutput[] = []
  for (let list = output; list !== undefined; list = list.before) pieces.push(list)
  const built: (Stretch | Mark)[] = []
  for (let i = pieces.length - 1; i >= 0; i -= 1) {
    const next = stretchOf(pieces[i] as RunOutput)
    const open = built.at(-1)
    if (open !== undefined && 'texts' in open && 'texts' in next && continues(open, next)) {
      open.texts.push(...next.texts)
      for (const length of next.lengths) open.lengths.push(length)
      open.next = next.next
    } else {
      built.push(next)
    }
  }
  return built.map((item) => ('texts' in item ? closed(item) : item))
}

/** Text parts whose outputs lie beyond `index` marked as unseen; a part that straddles it is split. */
export function markUnseen(parts: readonly OutputPart[], index: number): OutputPart[] {
  return parts.flatMap((part): OutputPart[] => {
    if (part.type !== 'text' && part.type !== 'reasoning') return [part]
    const seen = Math.min(Math.max(index + 1 - part.index, 0), part.lengths.length)
    if (seen === part.lengths.length) return [part]
    const cut = part.lengths.slice(0, seen).reduce((sum, length) => sum + length, 0)
    const rest: OutputPart = {
      type: part.type,
      text: part.text.slice(cut),
      index: part.index + seen,
      lengths: part.lengths.slice(seen),
      unseen: true,
    }
    if (seen === 0) return [rest]
    return [{ ...part, text: part.text.slice(0, cut), lengths: part.lengths.slice(0, seen) }, rest]
  })
}

/** The newest `row` outputs as one part. */
function asPart(newest: RunOutput, type: TextKind): RunOutput {
  const texts: string[] = []
  let list: RunOutput | undefined = newest
  let { index } = newest
  for (let left = newest.row; left > 0 && list !== undefined; left -= 1) {
    texts.push(list.text)
    index = list.index
    list = list.before
  }
  texts.reverse()
  return addPart(list, { type, text: texts.join(''), index, lengths: texts.map(({ length }) => length) })
}

type Mark = Exclude<OutputPart, { type: TextKind }>

/** A text part being built; the only mutable thing here, and it never leaves `toParts`. */
interface Stretch {
  readonly type: TextKind
  readonly index: number
  readonly unseen: boolean
  readonly texts: string[]
  readonly lengths: number[]
  next: number
}

function stretchOf({ kind, index, text, part }: RunOutput): Stretch | Mark {
  if (part === undefined) {
    const type = kind === 'reasoning' ? kind : 'text'
    return { type, index, unseen: false, texts: [text], lengths: [text.length], next: index + 1 }
  }
  if (part.type !== 'text' && part.type !== 'reasoning') return part
  const { type, unseen = false, lengths } = part
  return {
    type,
    index: part.index,
    unseen,
    texts: [part.text],
    lengths: [...lengths],
    next: part.index + lengths.length,
  }
}

function continues(open: Stretch, next: Stretch): boolean {
  return open.type === next.type && open.next === next.index && open.unseen === next.unseen
}

function closed(stretch: Stretch): OutputPart {
  const part = {
    type: stretch.type,
    text: stretch.texts.join(''),
    index: stretch.index,
    lengths: stretch.lengths,
  }
  return stretch.unseen ? { ...part, unseen: true } : part
}
