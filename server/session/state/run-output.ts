// RunOutput: the output of a run as an immutable linked list with O(1) append, so that each token of a long answer
// costs the same. Adjacent outputs are merged into one part at intervals, because thousands of runs hold their output
// in memory, and an object per token takes ten times the memory of its text.
import type { NumberedPart, RunOutput as OutputEvent, OutputPart } from '@parley/protocol'

export type TextKind = 'text' | 'reasoning'
type InputPart = Extract<OutputPart, { type: 'input' }>
type DataPart = Extract<OutputPart, { type: 'data' }>

/** The number of adjacent outputs that become one part. */
const OUTPUTS_PER_PART = 32

/** A node of the list, newest first; undefined is the empty list. */
export interface RunOutput {
  /** The kind of a single output, or `part`. */
  readonly kind: TextKind | 'input' | 'part'
  readonly index: number
  readonly text: string
  /** With `input`: its call, in an empty part that the outputs of the call share. */
  readonly part: OutputPart | undefined
  readonly previous: RunOutput | undefined
  /** The number of adjacent single outputs of this kind up to this node; 0 for a part. */
  readonly singles: number
}

export function addOutput(list: RunOutput | undefined, kind: TextKind, index: number, text: string): RunOutput {
  const singles = list !== undefined && list.kind === kind && list.index + 1 === index ? list.singles + 1 : 1
  const added = { kind, index, text, part: undefined, previous: list, singles }
  return singles < OUTPUTS_PER_PART ? added : mergeSingles(added, { type: kind })
}

/** Adds an output of any kind. */
export function addEvent(list: RunOutput | undefined, event: OutputEvent): RunOutput {
  const { kind, index, text } = event
  switch (event.kind) {
    case 'text':
    case 'reasoning':
      return addOutput(list, event.kind, index, text)
    case 'input':
      return addInput(list, event)
    default: {
      const { type: _, run: __, kind: ___, count: ____, ...fields } = event
      return addExtra(list, { type: kind, ...fields, lengths: [text.length] } as NumberedPart)
    }
  }
}

function addInput(
  list: RunOutput | undefined,
  { call, name, index, text }: OutputEvent & { kind: 'input' },
): RunOutput {
  const before = list?.part?.type === 'input' && list.part.call === call ? list.part : undefined
  const isNext = before !== undefined && list?.kind === 'input' && list.index + 1 === index
  const part = isNext ? before : { ...inputOf(list, call, name), index }
  const singles = isNext ? list.singles + 1 : 1
  const added = { kind: 'input' as const, index, text, part, previous: list, singles }
  return singles < OUTPUTS_PER_PART ? added : mergeSingles(added, part)
}

/** An empty part of the call. Only its first output has the name. */
function inputOf(list: RunOutput | undefined, call: string, name: string | undefined): InputPart {
  for (let node = list; node !== undefined && name === undefined; node = node.previous) {
    if (node.part?.type === 'input' && node.part.call === call) return { ...node.part, text: '', lengths: [] }
  }
  return { type: 'input', call, name: name ?? '', text: '', index: 0, lengths: [] }
}

/** Adds data, a source or a file. Data replaces earlier data with the same id, which keeps its place. */
export function addExtra(list: RunOutput | undefined, part: NumberedPart): RunOutput {
  if (part.type !== 'data' || part.id === undefined) return addPart(list, part)
  const after: RunOutput[] = []
  for (let node = list; node !== undefined; node = node.previous) {
    if (node.part?.type !== 'data' || node.part.id !== part.id) {
      after.push(node)
      continue
    }
    const isNext = after.length === 0 && node.part.index + node.part.lengths.length === part.index
    const { data: _, ...place } = node.part
    if (isNext && node.part.unseen === part.unseen) return addPart(node.previous, withNext(node.part, part))
    const rest = addPart(node.previous, place)
    return addPart(
      after.reduceRight<RunOutput>((previous, other) => ({ ...other, previous }), rest),
      part,
    )
  }
  return addPart(list, part)
}

function withNext(before: DataPart, { name, data, lengths }: DataPart): DataPart {
  return { ...before, name, lengths: [...before.lengths, ...lengths], ...(data === undefined ? {} : { data }) }
}

/** @param first the index of the first output */
export function addOutputs(
  list: RunOutput | undefined,
  kind: TextKind,
  first: number,
  texts: readonly string[],
): RunOutput | undefined {
  if (texts.length >= OUTPUTS_PER_PART / 2) return addPart(list, textPart({ type: kind }, first, texts))
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
  const built: (OpenPart | OutputPart)[] = []
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

/** Marks the outputs after `index` as unseen, and splits the part that contains the boundary. */
export function markUnseen(parts: readonly OutputPart[], index: number): OutputPart[] {
  return parts.flatMap((part): OutputPart[] => {
    if (!('lengths' in part)) return [part]
    const seen = Math.min(Math.max(index + 1 - part.index, 0), part.lengths.length)
    if (seen === part.lengths.length) return [part]
    const cut = part.lengths.slice(0, seen).reduce((sum, length) => sum + length, 0)
    const rest: OutputPart = {
      ...part,
      text: part.text.slice(cut),
      index: part.index + seen,
      lengths: part.lengths.slice(seen),
      unseen: true,
    }
    if (seen === 0) return [rest]
    // Only the newest data is known.
    const { data: _, ...place } = { data: undefined, ...part }
    return [{ ...place, text: part.text.slice(0, cut), lengths: part.lengths.slice(0, seen) } as OutputPart, rest]
  })
}

/** The parts that a restart keeps: complete steps, and what their tools have shown. */
export function completeParts(parts: readonly OutputPart[]): OutputPart[] {
  const end = parts.findLastIndex((part) => part.type === 'tool' || part.type === 'message') + 1
  return parts.filter((part, at) => at < end || part.type === 'data')
}

/** What a restart keeps. */
export function completeOutput(output: RunOutput | undefined): RunOutput | undefined {
  return fromParts(completeParts(toParts(output)))
}

/** Replaces the newest `singles` outputs by one part. */
function mergeSingles(newest: RunOutput, like: PartStart): RunOutput {
  const texts: string[] = []
  let node: RunOutput | undefined = newest
  for (let left = newest.singles; left > 0 && node !== undefined; left -= 1) {
    texts.push(node.text)
    node = node.previous
  }
  return addPart(node, textPart(like, newest.index - texts.length + 1, texts.reverse()))
}

/** A part without its outputs. */
type PartStart = { readonly type: TextKind } | InputPart

function textPart(like: PartStart, index: number, texts: readonly string[]): OutputPart {
  return { ...like, text: texts.join(''), index, lengths: texts.map(({ length }) => length) }
}

/** A mutable part under construction, local to `toParts`. */
interface OpenPart {
  readonly like: PartStart
  readonly index: number
  readonly unseen: boolean
  readonly texts: string[]
  readonly lengths: number[]
  next: number
}

function openPart({ kind, index, text, part }: RunOutput): OpenPart | OutputPart {
  if (kind !== 'part') {
    const like = part?.type === 'input' ? part : { type: kind === 'reasoning' ? kind : ('text' as const) }
    return { like, index, unseen: false, texts: [text], lengths: [text.length], next: index + 1 }
  }
  if (part?.type !== 'text' && part?.type !== 'reasoning' && part?.type !== 'input') return part as OutputPart
  const { unseen = false, lengths } = part
  return {
    like: part.type === 'input' ? part : { type: part.type },
    index: part.index,
    unseen,
    texts: [part.text],
    lengths: [...lengths],
    next: part.index + lengths.length,
  }
}

function continues(open: OpenPart, next: OpenPart): boolean {
  return open.next === next.index && open.unseen === next.unseen && isAlike(open.like, next.like)
}

function isAlike(a: PartStart, b: PartStart): boolean {
  return a.type === b.type && (a.type !== 'input' || b.type !== 'input' || a.call === b.call)
}

function closePart({ like, unseen, texts, index, lengths }: OpenPart): OutputPart {
  const text = texts.length === 1 ? (texts[0] as string) : texts.join('')
  const mark = unseen ? { unseen: true as const } : {}
  if (like.type !== 'input') return { type: like.type, text, index, lengths, ...mark }
  const { unseen: _, ...start } = { unseen: undefined, ...like }
  return { ...start, text, index, lengths, ...mark }
}
