// RunNote: what the page says about a run's status, and about what its model did not get. Pure.
import { type CallView, isSettled, openQuestion, type RunView } from '@parley/client'
import { type CallNote, formatText } from './call-note.ts'

export interface RunNote {
  /** `busy`: in progress. `plain`: completed. `stopped`, `failed`: the answer is incomplete. */
  readonly tone: 'busy' | 'plain' | 'stopped' | 'failed'
  readonly text: string
}

/**
 * @param calls the tool calls that the run may wait for
 * @param user the page's own user
 * @param displayName a user's name
 * @param reset when the budget that stopped the run resets, in words
 */
export function runNote(
  run: RunView,
  calls: readonly CallView[],
  user: string | undefined,
  displayName: (user: string) => string = (other) => other,
  reset = '',
): RunNote {
  switch (run.status) {
    case 'queued':
      return { tone: 'busy', text: run.supersededBy === undefined ? 'Queued' : 'Interrupted' }
    case 'running':
      if (run.supersededBy !== undefined) return { tone: 'busy', text: 'Interrupted' }
      if (endsInCall(run)) return { tone: 'busy', text: waitsForAgents(calls) ?? 'Thinking' }
      return { tone: 'busy', text: run.next === 0 ? 'Thinking' : 'Answering' }
    case 'waiting':
      return { tone: 'busy', text: waitsFor(calls) }
    case 'completed':
      return run.cut === true ? { tone: 'stopped', text: limitNote(run) } : { tone: 'plain', text: summary(run) }
    case 'cancelled':
      return { tone: 'stopped', text: `Stopped${by(run.by, user, displayName)}` }
    case 'superseded':
      return { tone: 'stopped', text: 'Interrupted by the next message' }
    case 'failed':
      if (run.error?.code === 'budget_exceeded') {
        return { tone: 'failed', text: `Stopped: not enough tokens left in the budget. ${reset}`.trim() }
      }
      return {
        tone: 'failed',
        text: run.error === undefined ? 'Failed' : `${formatText(run.error.message)} (${run.error.code})`,
      }
  }
}

/**
 * What the page says about a child run, in a few words: its errors are shown separately.
 * @param run undefined: it has not started
 * @param asks what it or its own child runs ask of a person
 */
export function childNote(
  run: RunView | undefined,
  asks: 'approval' | 'answer' | undefined,
  user: string | undefined,
  displayName: (user: string) => string,
): CallNote {
  if (run === undefined) return { tone: 'busy', text: 'Starting' }
  if (asks !== undefined) return { tone: 'ask', text: asks === 'approval' ? 'Needs approval' : 'Asks a question' }
  if (run.status === 'failed') return { tone: 'failed', text: 'Failed' }
  const { tone, text } = runNote(run, [], user, displayName)
  return { tone: tone === 'stopped' ? 'plain' : tone, text }
}

export function endsInCall(run: RunView): boolean {
  return run.parts.at(-1)?.type === 'tool'
}

function waitsForAgents(calls: readonly CallView[]): string | undefined {
  const names = new Set(
    calls.flatMap((call) => (call.child === undefined || isSettled(call) ? [] : [call.child.agent])),
  )
  return names.size === 0 ? undefined : `Waiting for ${[...names].map(formatText).join(' and ')}`
}

function waitsFor(calls: readonly CallView[]): string {
  if (calls.some((call) => call.status === 'deciding')) return 'Waiting for approval'
  if (calls.some((call) => openQuestion(call) !== undefined)) return 'Waiting for your answer'
  const call = calls.find((candidate) => candidate.status === 'offered' || candidate.status === 'claimed')
  if (call === undefined) return 'Waiting'
  return call.status === 'claimed' ? `Waiting for ${call.name}` : `Waiting for a device with ${call.name}`
}

function by(who: string | undefined, user: string | undefined, displayName: (user: string) => string): string {
  return who === undefined || who === user || who === 'anonymous' ? '' : ` by ${displayName(who)}`
}

function limitNote(run: RunView): string {
  const tokens = tokensOf(run)
  return tokens === undefined ? 'Stopped at the token limit' : `Stopped at the limit of ${tokens}`
}

function tokensOf({ usage }: RunView): string | undefined {
  const tokens = usage?.outputTokens ?? 0
  return tokens === 0 ? undefined : `${tokens.toLocaleString('en')} ${tokens === 1 ? 'token' : 'tokens'}`
}

function summary(run: RunView): string {
  const parts = [run.model ?? 'Answered']
  const tokens = tokensOf(run)
  if (tokens !== undefined) parts.push(tokens)
  // A later attempt: another process has continued the run after a failure or a restart.
  if (run.epoch > 1) parts.push('resumed on another server')
  return parts.join(' · ')
}

type Notice = NonNullable<RunView['notices']>[number]

/** One sentence for each notice that this page knows. */
export function noticeTexts({ notices = [] }: RunView): string[] {
  return notices.flatMap((notice) => noticeText(notice) ?? [])
}

function noticeText({ code, option, message, mediaType, tool, count = 1 }: Notice): string | undefined {
  const are = count === 1 ? 'was' : 'were'
  switch (code) {
    case 'option_ignored':
      return `The model does not support the option ${option}.`
    case 'option_adapted':
      return `The model used another value for the option ${option}.`
    case 'provider_warning':
      return message === undefined ? undefined : formatText(message)
    case 'history_omitted':
      return `${counted(count, 'earlier turn')} ${are} not sent: this chat is longer than the model can read.`
    case 'file_omitted':
      return `${counted(count, 'file')} (${mediaType}) ${are} not sent: the model’s provider did not accept ${count === 1 ? 'it' : 'them'}.`
    case 'call_adapted':
      return `${counted(count, 'earlier tool call')} ${are} sent in another form.`
    case 'tool_omitted':
      return `The model cannot use the tool ${tool}, because of its name.`
    case 'tools_omitted':
      return `${counted(count, 'tool')} ${are} not offered to the model: there are too many.`
    default:
      return undefined
  }
}

function counted(count: number, thing: string): string {
  return `${count.toLocaleString('en')} ${thing}${count === 1 ? '' : 's'}`
}
