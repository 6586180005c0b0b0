// Checks of commands and runs in a history: every command takes effect once, every acknowledged message is stored,
// every run ends, and nothing follows its end. Pure.
import type { Event } from '@parley/protocol'
import type { History, HistoryRecord, LogEntries, RunSeen } from './history.ts'

/** All readers end with the picture of a reader that starts from the beginning. */
export function differentPictures({ pictures, fresh }: History): string[] {
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

/**
 * A connection that received the acknowledgement of a run's end receives no later output of it. Output that it reads
 * again after a new attach is allowed.
 */
export function lateOutputs(records: readonly HistoryRecord[], log: LogEntries): string[] {
  const endedBy = new Map<string, string[]>()
  for (const { event } of log) {
    if (event.type !== 'run.ended' || event.command === undefined) continue
    const runs = endedBy.get(event.command) ?? []
    if (!runs.includes(event.run)) runs.push(event.run)
    endedBy.set(event.command, runs)
  }
  /** By connection: the ended runs, with the command that ended each. */
  const ended = new Map<number, Map<string, string>>()
  const found: string[] = []
  for (const record of records) {
    const known = ended.get(record.connection) ?? new Map<string, string>()
    ended.set(record.connection, known)
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

/** The log has no visible entry of a run after its end. */
export function entriesAfterEnd(log: LogEntries): string[] {
  const ended = new Map<string, string>()
  const found: string[] = []
  for (const { seq, event } of log) {
    if (event.type === 'run.ended') {
      const before = ended.get(event.run)
      const end = `${event.reason} ${event.next} ${event.command ?? ''}`
      if (before !== undefined && before !== end) found.push(`${event.run} ended twice: ${before}, then ${end}`)
      ended.set(event.run, end)
    } else if ('run' in event && event.type !== 'message' && ended.has(event.run)) {
      // Readers ignore starts and tool entries after the end: a replaced driver may have appended them.
      const isIgnored = event.type === 'run.started' || event.type.startsWith('tool.')
      if (!isIgnored) found.push(`${event.type} of ${event.run} at ${seq}, after its end`)
    }
  }
  return found
}

/** A command has at most one effect, and an acknowledged tool result is stored. */
export function repeatedEffects(records: readonly HistoryRecord[], log: LogEntries): string[] {
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
    if (!effects.has(record.command.id)) found.push(`${record.command.id} was acknowledged but stored no result`)
  }
  return found
}

/** Every reader has every acknowledged message once. */
export function lostMessages({ records, pictures }: History): string[] {
  const received = new Map<string, Map<string, number>>()
  for (const record of records) {
    if (record.kind === 'forgot' || (record.kind === 'attached' && record.reset)) received.delete(record.reader)
    if (record.kind !== 'entry' || record.event.type !== 'message') continue
    const messages = received.get(record.reader) ?? new Map<string, number>()
    received.set(record.reader, messages.set(record.event.id, (messages.get(record.event.id) ?? 0) + 1))
  }
  const acknowledged = new Set(
    records.flatMap((record) => (record.kind === 'ok' && record.command.type === 'send' ? [record.command.id] : [])),
  )
  return [...pictures.keys()].flatMap((reader) => {
    const messages = received.get(reader) ?? new Map<string, number>()
    const lost = [...acknowledged].filter((id) => !messages.has(id)).map((id) => `${reader} lacks message ${id}`)
    const twice = [...messages].filter(([, count]) => count > 1).map(([id]) => `${reader} has message ${id} twice`)
    return [...lost, ...twice]
  })
}

/** The run of every message has ended, and so has every started run. */
export function unfinishedRuns({ records, pictures, fresh }: History, log: LogEntries): string[] {
  const ended = new Map<string, { seq: number; event: Extract<Event, { type: 'run.ended' }> }>()
  const expected = new Set<string>()
  for (const { seq, event } of log) {
    if (event.type === 'run.ended' && !ended.has(event.run)) ended.set(event.run, { seq: event.at ?? seq, event })
    if (event.type === 'run.started') expected.add(event.run)
  }
  for (const record of records) if (record.kind === 'ok' && record.run !== undefined) expected.add(record.run)
  /** Steering messages that a run has answered. */
  const answered = new Set(
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
    if (event.policy !== 'steer' || end === undefined || answered.has(event.id)) continue
    // The steering message came after the end, or the run completed without it: a run of its own answers it.
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
