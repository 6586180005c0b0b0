// RunOutput: the output of a run as an immutable linked list with O(1) append, so that each token of a long answer
// costs the same. Adjacent outputs are merged into one part at intervals, because thousands of runs hold their output
// in memory, and an object per token takes ten times the memory of its text.
import type { OutputPart } from '@parley/protocol'

type TextKind = 'text' | 'reasoning'

/** The number of adjacent outputs that become one part. */
const OUTPUTS_PER_PART = 32

/** A node of the list, newest first; undefined is the empty list. */
export interface RunOutput {
  /** The kind of a single output, or `part`. */
  readonly kind: TextKind | 'part'
  readonly index: number
  readonly text: string
  readonly part: OutputPart | undefined
  readonly previous: RunOutput | undefined
  /** The number of adjacent single outputs of this kind up to this node; 0 for a part. */
  readonly singles: number
}

export function addOutput(list: RunOutput | undefined, kind: TextKind, index: number, text: string): RunOutput {
  const singles = list !== undefined && list.kind === kind && list.index + 1 === index ? list.singles + 1 : 1
  const added = { kind, index, text, part: undefined, previous: list, singles }
  return singles < OUTPUTS_PER_PART ? added : mergeSingles(added, kind)
}

/** @param first the index of the first output */
export function addOutputs(
  list: RunOutput | undefined,
  kind: TextKind,
  first: number,
  texts: readonly string[],
): RunOutput | undefined {
  if (texts.length >= OUTPUTS_PER_PART / 2) return addPart(list, textPart(kind, first, texts))
  return texts.reduce((longer, text, at) => addOutput(longer, kind, first + at, text), list)
}

export function addPart(list: RunOutput | undefined, part: OutputPart): RunOutput {
  return { kind: 'part', index: 0, text: '', part, previous: list, singles: 0 }
}

export function fromParts(parts: readonly OutputPart[]): RunOutput | undefined {
  return parts.reduce<RunOutput | undefined>((list, part) => addPart(list, part), undefined)
}

/** Whether the output contains the tool call, as it does after a snapshot. */
export function hasCall(output: RunOutput | undefined, call: string): boolean {
  for (let node = output; node !== undefined; node = node.previous) {
    if (node.part?.type === 'tool' && node.part.call === call) return true
  }
  return false
}

/** Ids of the steering messages that the run's model has received, newest first. */
export function takenMessages(output: RunOutput | undefined): string[] {
  const taken: string[] = []
  for (let node = output; node !== undefined; node = node.previous) {
    if (node.part?.type === 'message') taken.push(node.part.message)
  }
  return taken
}

/** Oldest first. Adjacent outputs of one kind become one part with their lengths. */
export function toParts(output: RunOutput | undefined): OutputPart[] {
  const nodes: RunOutput[] = []
  for (let node = output; node !== undefined; node = node.previous) nodes.push(node)
  const built: (OpenPart | OtherPart)[] = []
  for (let i = nodes.length - 1; i >= 0; i -= 1) {
    const next = openPart(nodes[i] as RunOutput)
    const open = built.at(-1)
    if (open !== undefined && 'texts' in open && 'texts' in next && continues(open, next)) {
      open.texts.push(...next.texts)
      for (const length of next.lengths) open.lengths.push(length)
      open.next = next.next
    } else {
      built.push(next)
    }
  }
  return built.map((item) => ('texts' in item ? closePart(item) : item))
}

/** Marks the text after output `index` as unseen, and splits the part that contains the boundary. */
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

/** Replaces the newest `singles` outputs by one part. */
function mergeSingles(newest: RunOutput, type: TextKind): RunOutput {
  const texts: string[] = []
  let node: RunOutput | undefined = newest
  for (let left = newest.singles; left > 0 && node !== undefined; left -= 1) {
    texts.push(node.text)
    node = node.previous
  }
  return addPart(node, textPart(type, newest.index - texts.length + 1, texts.reverse()))
}

function textPart(type: TextKind, index: number, texts: readonly string[]): OutputPart {
  return { type, text: texts.join(''), index, lengths: texts.map(({ length }) => length) }
}

type OtherPart = Exclude<OutputPart, { type: TextKind }>

/** A mutable text part under construction, local to `toParts`. */
interface OpenPart {
  readonly type: TextKind
  readonly index: number
  readonly unseen: boolean
  readonly texts: string[]
  readonly lengths: number[]
  next: number
}

function openPart({ kind, index, text, part }: RunOutput): OpenPart | OtherPart {
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

function continues(open: OpenPart, next: OpenPart): boolean {
  return open.type === next.type && open.next === next.index && open.unseen === next.unseen
}

function closePart({ type, unseen, texts, index, lengths }: OpenPart): OutputPart {
  const part = { type, text: texts.join(''), index, lengths }
  return unseen ? { ...part, unseen: true } : part
}
