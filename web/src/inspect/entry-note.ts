// EntryNote: a log entry in a few words: its subject, kind and content; the filter for entries; and times. Pure.
import { cutText } from '@parley/protocol/cut-text'
import { toJson } from '../conversation/call-note.ts'
import type { LogEntry } from './run-lane.ts'

export const KINDS = ['messages', 'runs', 'output', 'tools', 'members'] as const
export type Kind = (typeof KINDS)[number]

type Event = LogEntry['event']

/** UTF-16 code units. */
const TEXT_MAX = 160

export function kindOf({ type }: Event): Kind {
  if (type === 'message') return 'messages'
  if (type === 'run.output') return 'output'
  if (type.startsWith('run.')) return 'runs'
  return type.startsWith('tool.') ? 'tools' : 'members'
}

export function subjectOf(event: Event): string {
  if (event.type === 'message') return `in.${event.id}`
  if ('call' in event && event.type !== 'run.output') return `tool.${event.call}`
  return 'run' in event ? `run.${event.run}` : 'meta'
}

export function summaryOf(event: Event): string {
  switch (event.type) {
    case 'message': {
      const text = event.content.map((part) => (part.type === 'text' ? part.text : `[${part.mediaType}]`)).join(' ')
      const to = event.agent === undefined ? '' : ` to ${event.agent}`
      return cut(`${event.author}${to} (${event.policy}): ${text}`)
    }
    case 'run.started': {
      const { epoch, mode, owner, model, agent, parent } = event
      const on = owner === undefined ? '' : ` on ${owner}`
      const child = parent === undefined ? '' : `, child of ${parent.run}`
      return cut(`attempt ${epoch}, ${mode}${on}, ${model}${agent === undefined ? '' : `, ${agent}`}${child}`)
    }
    case 'run.output': {
      const { index, count = 1 } = event
      const range = count === 1 ? `${index}` : `${index} to ${index + count - 1}`
      return cut(`${event.kind} ${range}: ${contentOf(event)}`)
    }
    case 'run.requested':
      return cut(`step ${event.step} to ${event.model}`)
    case 'run.handed':
      return cut(
        `${event.from === undefined ? '' : `${event.from} `}to ${event.to}${event.reason === undefined ? '' : `: ${event.reason}`}`,
      )
    case 'run.snapshot':
      return `outputs below ${event.next}, compacted`
    case 'run.ended': {
      const { reason, by, cut: isCut, error, next, output } = event
      const who = by === undefined ? '' : ` by ${by}`
      const why = error === undefined ? '' : `: ${error.code}`
      const limit = isCut === true ? ', at the token limit' : ''
      return `${reason}${who}${why}${limit}; ${next} outputs${output === undefined ? '' : ', compacted'}`
    }
    case 'tool.called':
      return cut(
        `${event.name} ${event.child === undefined ? '' : `(${event.child.run}) `}${event.input === undefined ? '' : toJson(event.input)}`,
      )
    case 'tool.claimed':
      return `by ${event.connection}`
    case 'tool.decided':
      return cut(`${event.decision} by ${event.by}${event.reason === undefined ? '' : `: ${event.reason}`}`)
    case 'tool.asked':
      return cut(event.message)
    case 'tool.answered':
      return cut(`${event.action} by ${event.by}${event.content === undefined ? '' : `: ${toJson(event.content)}`}`)
    case 'tool.result':
      return cut(event.error === undefined ? toJson(event.output) : `failed: ${event.error}`)
    case 'tool.progress': {
      const { done, total, text = '' } = event
      const share = done === undefined ? '' : `${done}${total === undefined ? '' : ` of ${total}`} `
      return cut(`${share}${text}`)
    }
    case 'session.updated':
      if (event.title !== undefined) return cut(`title: ${event.title}`)
      return event.deletedResponses === undefined ? 'tools' : cut(`deleted: ${event.deletedResponses.join(', ')}`)
    case 'member.joined':
      return `${event.user} is ${event.role}`
    case 'member.left':
      return event.by === undefined || event.by === event.user ? event.user : `${event.user}, removed by ${event.by}`
    case 'session.deleted':
      return `by ${event.by}`
    case 'invite.created':
      return `${event.invite}, as ${event.role}, by ${event.by}`
    case 'invite.revoked':
      return `${event.invite}, by ${event.by}`
    default:
      // An event type of a newer server.
      return ''
  }
}

function contentOf(event: Extract<Event, { type: 'run.output' }>): string {
  switch (event.kind) {
    case 'data':
      return `${event.name}${event.id === undefined ? '' : ` ${event.id}`} ${toJson(event.data)}`
    case 'source':
      return `${event.url} ${event.title ?? ''}`
    case 'file':
      return `${event.mediaType} ${event.name ?? event.file ?? event.url ?? ''}`
    default:
      return JSON.stringify(event.text)
  }
}

/** Whether an entry passes the filter. All words must occur in its subject, run, type or summary. */
export function matches(entry: LogEntry, kinds: ReadonlySet<Kind>, words: string): boolean {
  if (!kinds.has(kindOf(entry.event))) return false
  if (words === '') return true
  const { event } = entry
  const run = 'run' in event ? event.run : ''
  const text = `${subjectOf(event)} ${run} ${event.type} ${summaryOf(event)}`.toLowerCase()
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}

/** The local time of day, to the millisecond. */
export function clockOf(time: number): string {
  const date = new Date(time)
  const two = (value: number): string => String(value).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

/** A duration. @param ms may be negative, because the clocks of nodes differ */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function cut(text: string): string {
  const line = cutText(text, 4 * TEXT_MAX).replace(/\s+/g, ' ')
  return line.length <= TEXT_MAX ? line : `${cutText(line, TEXT_MAX)}…`
}
