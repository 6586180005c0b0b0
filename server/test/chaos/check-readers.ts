// Checks of the entries that each reader received: every entry once, in order, without a gap in any run, and with the
// same content for all readers on all nodes, live or compacted. Pure.
import { isDeepStrictEqual } from 'node:util'
import type { Event, RunOutput } from '@parley/protocol'
import type { EntryRecord, History, HistoryRecord, LogEntries } from './history.ts'

interface RunProgress {
  next: number
  ended: boolean
}

/** For each reader: cursors only grow, indexes have no gap, nothing follows an end. */
export function wrongOrder(records: readonly HistoryRecord[]): string[] {
  const readers = new Map<string, { seq: number; node: string; runs: Map<string, RunProgress> }>()
  const found: string[] = []
  for (const record of records) {
    const reader = readers.get(record.reader) ?? { seq: 0, node: '', runs: new Map<string, RunProgress>() }
    readers.set(record.reader, reader)
    const who = reader.node === '' ? record.reader : `${record.reader} on ${reader.node}`
    if (record.kind === 'attached') reader.node = record.node ?? reader.node
    if (record.kind === 'forgot' || (record.kind === 'attached' && record.reset)) {
      reader.seq = 0
      reader.runs.clear()
    } else if (record.kind === 'live') {
      if (record.seq < reader.seq) found.push(`${who} is live at ${record.seq}, after ${reader.seq}`)
    } else if (record.kind === 'entry') {
      if (record.seq <= reader.seq) found.push(`${who} got entry ${record.seq} after ${reader.seq}`)
      reader.seq = record.seq
      const problem = advance(reader.runs, record.event)
      if (problem !== undefined) found.push(`${who}, entry ${record.seq}: ${problem}`)
    }
  }
  return found
}

function advance(runs: Map<string, RunProgress>, event: Event): string | undefined {
  if (!('run' in event) || event.type === 'message' || event.type.startsWith('tool.')) return undefined
  const run = runs.get(event.run) ?? { next: 0, ended: false }
  runs.set(event.run, run)
  const { next } = run
  switch (event.type) {
    case 'run.output':
      run.next = event.index + (event.count ?? 1)
      if (run.ended) return `index ${event.index} of ${event.run} after its end`
      return event.index === next ? undefined : `index ${event.index} of ${event.run}, expected ${next}`
    case 'run.started':
      run.next = event.next
      return event.next === next ? undefined : `${event.run} starts at ${event.next}, expected ${next}`
    case 'run.snapshot':
      run.next = event.next
      return event.next >= next ? undefined : `a snapshot resets ${event.run} from ${next} to ${event.next}`
    case 'run.ended':
      run.next = event.next
      run.ended = true
      if (event.next < next || (event.output === undefined && event.next !== next)) {
        return `${event.run} ends at ${event.next}, expected ${next}`
      }
  }
  return undefined
}

/** All readers received the same entry at each number, and compacted entries repeat the outputs that they replace. */
export function differentEntries(records: readonly HistoryRecord[]): string[] {
  const entries = new Map<number, EntryRecord>()
  const outputs = new Map<string, Map<number, string>>()
  const found: string[] = []
  const compare = (record: EntryRecord): void => {
    const first = entries.get(record.seq)
    if (first === undefined) entries.set(record.seq, record)
    else if (!sameEntry(first.event, record.event)) {
      found.push(`${record.reader} and ${first.reader} differ at ${record.seq}: ${short(record)} and ${short(first)}`)
    }
  }
  // First the single outputs: merged and compacted entries are compared with them.
  for (const record of records) {
    if (record.kind !== 'entry') continue
    compare(record)
    const { event } = record
    if (event.type !== 'run.output' || event.count !== undefined) continue
    const texts = outputs.get(event.run) ?? new Map<number, string>()
    outputs.set(event.run, texts.set(event.index, `${event.kind} ${event.text}`))
  }
  for (const record of records) {
    if (record.kind !== 'entry') continue
    for (const piece of pieces(record.event)) {
      const { run, kind, index, texts, whole } = piece
      const known = texts.map((_, at) => outputs.get(run)?.get(index + at))
      const differs =
        whole === undefined
          ? known.some((text, at) => text !== undefined && text !== `${kind} ${texts[at]}`)
          : known.every((text) => text !== undefined) &&
            known.map((text) => text?.slice(kind.length + 1)).join('') !== whole
      if (differs) found.push(`${record.reader}: ${record.event.type} at ${record.seq} has a different text for ${run}`)
    }
  }
  return found
}

interface Piece {
  readonly run: string
  readonly kind: RunOutput['kind']
  readonly index: number
  /** The text of each output. */
  readonly texts: readonly string[]
  /** The text of all outputs together, if the event does not separate them. */
  readonly whole?: string
}

function pieces(event: Event): Piece[] {
  if (event.type === 'run.output') {
    const { run, kind, index, count, text } = event
    return count === undefined
      ? []
      : [{ run, kind, index, texts: Array.from({ length: count }, () => ''), whole: text }]
  }
  if ((event.type !== 'run.snapshot' && event.type !== 'run.ended') || event.output === undefined) return []
  return event.output.flatMap((part): Piece[] => {
    if (part.type !== 'text' && part.type !== 'reasoning') return []
    let from = 0
    const texts = part.lengths.map((length) => {
      from += length
      return part.text.slice(from - length, from)
    })
    return [{ run: event.run, kind: part.type, index: part.index, texts }]
  })
}

/** Ignores the fields that compaction may change. Merged outputs and snapshots are compared by their text above. */
function sameEntry(a: Event, b: Event): boolean {
  if (a.type !== b.type) return [a, b].some(({ type }) => type === 'run.snapshot')
  if (a.type === 'session.updated' || a.type === 'run.snapshot') return true
  if (a.type === 'run.output' && b.type === 'run.output' && (a.count ?? b.count) !== undefined) {
    return a.run === b.run && a.index + (a.count ?? 1) === b.index + (b.count ?? 1)
  }
  return isDeepStrictEqual(invariantPart(a), invariantPart(b))
}

/** The event without the fields that compaction may change. */
function invariantPart(event: Event): object {
  if (event.type === 'run.ended') {
    const { output: _, compacted: __, at: ___, usage: ____, ...rest } = event
    return rest
  }
  if (event.type === 'run.started') {
    return { ...event, mode: event.mode === 'restart' ? 'continue' : event.mode, next: 0 }
  }
  return event.type === 'tool.called' ? { ...event, attempt: 0, epoch: 0 } : event
}

/** The demo model's text is known: complete if the run completed, otherwise a beginning of it. */
export function wrongAnswers({ pictures, fresh }: History, log: LogEntries): string[] {
  const asked = new Map<string, string>()
  const steered = new Set<string>()
  const answers = new Map<string, string>()
  for (const { event } of log) {
    if (event.type === 'message') {
      const [part] = event.content
      asked.set(event.id, part?.type === 'text' ? part.text : '')
      if (event.policy === 'steer') steered.add(event.run)
    } else if ((event.type === 'run.started' || event.type === 'run.ended') && event.message !== undefined) {
      answers.set(event.run, event.message)
    }
  }
  const found: string[] = []
  for (const [run, { text, reasoning, reason }] of pictures.get(fresh) ?? []) {
    const message = asked.get(answers.get(run) ?? '')
    // A steered run answers its steering messages, too.
    if (message === undefined || !message.startsWith('/demo') || steered.has(run)) continue
    const count = Number(/\bcount=(\d+)/.exec(message)?.[1] ?? 100)
    const thoughts = Number(/\breasoning=(\d+)/.exec(message)?.[1] ?? 0)
    // The demo model first repeats each tool result on its own line.
    const answer = /\btool=/.test(message) ? text.replace(/^(?:\{[^\n]*\}\n)*(?:\{[^\n]*$)?/, '') : text
    const right =
      reason === 'completed'
        ? answer === counted(count, '') && reasoning === counted(thoughts, 'r')
        : begins(answer, count, '') && begins(reasoning, thoughts, 'r')
    if (!right) found.push(`${run} (${reason}) says "${text.slice(0, 80)}…${text.slice(-20)}" to "${message}"`)
  }
  return found
}

function begins(text: string, count: number, prefix: string): boolean {
  return counted(count, prefix).startsWith(text)
}

function counted(count: number, prefix: string): string {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`).join(' ')
}

function short({ event }: EntryRecord): string {
  const text = JSON.stringify(event)
  return text.length > 160 ? `${text.slice(0, 160)}…` : text
}
