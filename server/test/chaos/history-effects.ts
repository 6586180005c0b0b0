// What became of commands, as their readers' histories tell: each took effect once, what was acknowledged is there, every
// run ended, and nothing came after an end. Pure.
import type { Event } from '@parley/protocol'
import type { History, HistoryRecord, RunSeen, Sequence } from './history-record.ts'

/** Everybody ends with the picture of someone who reads it all anew. */
export function differences({ pictures, fresh }: History): string[] {
  const expected = pictures.get(fresh) ?? new Map<string, RunSeen>()
  const found: string[] = []
  for (const [reader, picture] of pictures) {
    for (const run of new Set([...expected.keys(), ...picture.keys()])) {
      const [a, b] = [JSON.stringify(picture.get(run)), JSON.stringify(expected.get(run))]
      if (a !== b) found.push(`${reader} sees ${run} as ${brief(a)}, ${fresh} as ${brief(b)}`)
    }
  }
  return found
}

/** Whoever was told that a run is over gets no output of it on that connection; reading it again is no such output. */
export function lateOutputs(records: readonly HistoryRecord[], log: Sequence): string[] {
  const endedBy = new Map<string, string[]>()
  for (const { event } of log) {
    if (event.type !== 'run.ended' || event.command === undefined) continue
    const runs = endedBy.get(event.command) ?? []
    if (!runs.includes(event.run)) runs.push(event.run)
    endedBy.set(event.command, runs)
  }
  const over = new Map<number, Map<string, string>>()
  const found: string[] = []
  for (const record of records) {
    const known = over.get(record.connection) ?? new Map<string, string>()
    over.set(record.connection, known)
    if (record.kind === 'attached' || record.kind === 'forgot') known.clear()
    else if (record.kind === 'ok') {
      const { type, id, policy } = record.command
      if (type === 'cancel' && record.run !== undefined) known.set(record.run, id)
      if (type === 'send' && policy === 'interrupt') for (const run of endedBy.get(id) ?? []) known.set(run, id)
    } else if (record.kind === 'entry' && record.event.type === 'run.output' && known.has(record.event.run)) {
      const { run, index } = record.event
      found.push(`${record.reader} got ${run} index ${index} after the ok of ${known.get(run)}`)
    }
  }
  return found
}

/** Nothing that a person could see is stored of a run after its end. */
export function afterTheEnd(log: Sequence): string[] {
  const ended = new Map<string, string>()
  const found: string[] = []
  for (const { seq, event } of log) {
    if (event.type === 'run.ended') {
      const before = ended.get(event.run)
      const says = `${event.reason} ${event.next} ${event.command ?? ''}`
      if (before !== undefined && before !== says) found.push(`${event.run} ended twice: ${before}, then ${says}`)
      ended.set(event.run, says)
    } else if ('run' in event && event.type !== 'message' && ended.has(event.run)) {
      const folded = event.type === 'run.started' || event.type.startsWith('tool.')
      if (!folded) found.push(`${event.type} of ${event.run} at ${seq}, after its end`)
    }
  }
  return found
}

/** One command, one effect; and what was acknowledged as an effect is there. */
export function repeatedEffects(records: readonly HistoryRecord[], log: Sequence): string[] {
  const effects = new Map<string, Set<string>>()
  const note = (id: string | undefined, effect: string): void => {
    if (id === undefined) return
    const known = effects.get(id) ?? new Set<string>()
    effects.set(id, known.add(effect))
  }
  for (const { seq, event } of log) {
    if (event.type === 'message') note(event.id, `message at ${seq}`)
    else if (event.type === 'tool.result') note(event.command, `result of ${event.call}`)
    else if (event.type === 'run.ended' && event.reason === 'cancelled') note(event.command, `end of ${event.run}`)
  }
  const found = [...effects].filter(([, all]) => all.size > 1).map(([id, all]) => `${id} had ${[...all].join(' and ')}`)
  for (const record of records) {
    if (record.kind !== 'ok' || record.duplicate || record.command.type !== 'tool.result') continue
    if (!effects.has(record.command.id)) found.push(`${record.command.id} was acknowledged and left no result`)
  }
  return found
}

/** Every acknowledged message is with every reader, once. */
export function lostMessages({ records, pictures }: History): string[] {
  const held = new Map<string, Map<string, number>>()
  for (const record of records) {
    if (record.kind === 'forgot' || (record.kind === 'attached' && record.reset)) held.delete(record.reader)
    if (record.kind !== 'entry' || record.event.type !== 'message') continue
    const messages = held.get(record.reader) ?? new Map<string, number>()
    held.set(record.reader, messages.set(record.event.id, (messages.get(record.event.id) ?? 0) + 1))
  }
  const acknowledged = new Set(
    records.flatMap((record) => (record.kind === 'ok' && record.command.type === 'send' ? [record.command.id] : [])),
  )
  return [...pictures.keys()].flatMap((reader) => {
    const messages = held.get(reader) ?? new Map<string, number>()
    const lost = [...acknowledged].filter((id) => !messages.has(id)).map((id) => `${reader} lacks message ${id}`)
    const twice = [...messages].filter(([, count]) => count > 1).map(([id]) => `${reader} has message ${id} twice`)
    return [...lost, ...twice]
  })
}

/** The run of each message has ended, and so has every run that began. */
export function openRuns({ records, pictures, fresh }: History, log: Sequence): string[] {
  const ended = new Map<string, { seq: number; event: Extract<Event, { type: 'run.ended' }> }>()
  const expected = new Set<string>()
  for (const { seq, event } of log) {
    if (event.type === 'run.ended' && !ended.has(event.run)) ended.set(event.run, { seq: event.at ?? seq, event })
    if (event.type === 'run.started') expected.add(event.run)
  }
  for (const record of records) if (record.kind === 'ok' && record.run !== undefined) expected.add(record.run)
  const taken = new Set(
    log.flatMap(({ event }) =>
      (event.type === 'run.ended' || event.type === 'run.snapshot') && event.output !== undefined
        ? event.output.flatMap((part) => (part.type === 'message' ? [part.message] : []))
        : [],
    ),
  )
  for (const { seq, event } of log) {
    if (event.type !== 'message') continue
    expected.add(event.run)
    const end = ended.get(event.run)
    if (event.policy !== 'steer' || end === undefined || taken.has(event.id)) continue
    // Unless it is the message that the run itself answers, it came too late, or was left over.
    if (end.event.message !== event.id && (seq > end.seq || end.event.reason === 'completed')) {
      expected.add(`steer_${event.id}`.slice(0, 128))
    }
  }
  const last = pictures.get(fresh)
  return [...expected].filter((run) => last?.get(run)?.reason === undefined).map((run) => `${run} never ended`)
}

function brief(text: string | undefined): string {
  return text === undefined ? 'nothing' : text.length > 120 ? `${text.slice(0, 60)}…${text.slice(-60)}` : text
}
