// Exports the shown conversation, each turn in the shown version and with the answers of agents that were asked, as Markdown and as JSON. Pure.
import {
  type CallView,
  childRuns,
  type MessageView,
  type PendingSend,
  type RunView,
  type SessionView,
} from '@parley/client'
import { askedMessage } from './call-note.ts'

type ExportedView = Pick<SessionView, 'id' | 'title' | 'turns' | 'calls' | 'runs'>

/** @param now Unix milliseconds */
export function exportJson(view: ExportedView, now: number): string {
  const { id, title, turns, calls } = view
  const withCalls = (run: RunView) => ({ run, calls: run.parts.flatMap((part) => callOf(calls, part) ?? []) })
  const withChildren = (run: RunView) => {
    const children = childRuns(view, run).map(withCalls)
    return { ...withCalls(run), ...(children.length === 0 ? {} : { children }) }
  }
  const exported = turns.map(({ message, versions, run }) => ({
    message,
    version: versions.indexOf(message.id) + 1,
    versions: versions.length,
    ...(run === undefined ? {} : withChildren(run)),
  }))
  const document = { session: id, ...(title === undefined ? {} : { title }), exportedAt: isoTime(now), turns: exported }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

export function exportMarkdown(view: ExportedView): string {
  const { title, turns } = view
  const blocks = [`# ${oneLine(title ?? 'Untitled chat')}`]
  for (const { message, versions, run } of turns) {
    const author = 'author' in message ? oneLine(message.author) : 'not sent yet'
    const version = versions.length < 2 ? '' : `, version ${versions.indexOf(message.id) + 1} of ${versions.length}`
    blocks.push('---', `**${author}**, ${isoTime(message.time)}${version}`, ...contentBlocks(message))
    if (run !== undefined) blocks.push(...answerBlocks(run, view))
  }
  return `${blocks.join('\n\n')}\n`
}

/** A file name from the title, for every file system. @param ending without a dot */
export function exportName(title: string | undefined, ending: string): string {
  // Control characters, what Windows forbids, and marks that reverse the text around them.
  const clean = (title ?? '').replaceAll(/[\p{Cc}\p{Cf}\\/:*?"<>|]+/gu, ' ').replaceAll(/\s+/g, ' ')
  const cut = [...clean]
    .slice(0, 80)
    .join('')
    .replaceAll(/^[. ]+|[. ]+$/g, '')
  return `${cut === '' ? 'chat' : cut}.${ending}`
}

function contentBlocks({ content }: MessageView | PendingSend): readonly string[] {
  return content.map((part) => (part.type === 'text' ? part.text : `*File: ${oneLine(part.name ?? part.mediaType)}*`))
}

function answerBlocks(run: RunView, view: ExportedView): readonly string[] {
  const status = run.cut === true ? ', stopped at the token limit' : run.status === 'completed' ? '' : `, ${run.status}`
  const from = run.agent === undefined ? '' : ` from ${oneLine(run.agent)}`
  const blocks = [`**Answer**${from}${run.model === undefined ? '' : ` by ${oneLine(run.model)}`}${status}`]
  for (const part of run.parts) {
    if (part.type === 'text') blocks.push(part.text)
    else if (part.type === 'reasoning') blocks.push(part.text.replaceAll(/^/gm, '> '))
    else if (part.type === 'input') blocks.push(`*Tool ${oneLine(part.name)}, not completed*`)
    else if (part.type === 'data')
      blocks.push(`*${oneLine(part.name)}*`, fenced(JSON.stringify(part.data, undefined, 2)))
    else if (part.type === 'source') blocks.push(`*Source: ${oneLine(part.title ?? part.url)}* <${oneLine(part.url)}>`)
    else if (part.type === 'file') blocks.push(`*File: ${oneLine(part.name ?? part.mediaType)}*`)
    else if (part.type === 'tool') blocks.push(...callBlocks(part.name, callOf(view.calls, part), view))
  }
  return blocks
}

function callBlocks(name: string, call: CallView | undefined, view: ExportedView): readonly string[] {
  if (call === undefined) return [`*Tool ${oneLine(name)}*`]
  const child = call.child && view.runs.get(call.child.run)
  if (child !== undefined) {
    const blocks = [`*Asked*: ${askedMessage(call)}`, ...answerBlocks(child, view)]
    return [blocks.join('\n\n').replaceAll(/^/gm, '> ')]
  }
  const { status, input, output, error } = call
  const result = error === undefined ? output : error
  return [
    `*Tool ${oneLine(name)}, ${status}*`,
    fenced(JSON.stringify(input, undefined, 2)),
    ...(result === undefined ? [] : [fenced(JSON.stringify(result, undefined, 2))]),
  ]
}

function callOf(calls: SessionView['calls'], part: RunView['parts'][number]): CallView | undefined {
  return part.type === 'tool' ? calls.get(part.call) : undefined
}

/** The fence is longer than every row of backticks in the text. */
function fenced(text: string): string {
  let longest = 2
  for (const [ticks] of text.matchAll(/`+/g)) longest = Math.max(longest, ticks.length)
  const fence = '`'.repeat(longest + 1)
  return `${fence}json\n${text}\n${fence}`
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

function isoTime(time: number): string {
  return new Date(time).toISOString()
}
