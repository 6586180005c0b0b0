// RunNote: what the page says about a run's state, in words. Pure.
import type { CallView, RunView } from '@parley/client'

export interface RunNote {
  /** `busy`: something is to come. `plain`: it ended well. `stopped`, `failed`: what stands there is unfinished. */
  readonly tone: 'busy' | 'plain' | 'stopped' | 'failed'
  readonly text: string
}

/**
 * @param calls the run's calls of the client's view, to say what it waits for
 * @param user who the reader is, to say `you`
 * @param called what people call another user
 * @param free when a budget that cut it off is free again, in words
 */
export function runNote(
  run: RunView,
  calls: readonly CallView[],
  user: string | undefined,
  called: (user: string) => string = (other) => other,
  free = '',
): RunNote {
  switch (run.status) {
    case 'queued':
      return { tone: 'busy', text: run.supersededBy === undefined ? 'Waits for its turn' : 'Interrupted' }
    case 'running':
      if (run.supersededBy !== undefined) return { tone: 'busy', text: 'Interrupted' }
      return { tone: 'busy', text: run.next === 0 || endsInCall(run) ? 'Thinking' : 'Answering' }
    case 'waiting':
      return { tone: 'busy', text: waitsFor(calls) }
    case 'completed':
      return { tone: 'plain', text: summary(run) }
    case 'cancelled':
      return { tone: 'stopped', text: `Stopped${by(run.by, user, called)}` }
    case 'superseded':
      return { tone: 'stopped', text: 'Interrupted by the next message' }
    case 'failed':
      if (run.error?.code === 'budget_exceeded') {
        return { tone: 'failed', text: `Cut off: the budget of tokens was used up. ${free}`.trim() }
      }
      return { tone: 'failed', text: run.error === undefined ? 'Failed' : `${run.error.message} (${run.error.code})` }
  }
}

function endsInCall(run: RunView): boolean {
  return run.parts.at(-1)?.type === 'tool'
}

function waitsFor(calls: readonly CallView[]): string {
  if (calls.some((call) => call.status === 'deciding')) return 'Waits for a decision'
  const call = calls.find((candidate) => candidate.status === 'offered' || candidate.status === 'claimed')
  if (call === undefined) return 'Waits'
  return call.status === 'claimed' ? `Waits for ${call.name}` : `Waits for a device that offers ${call.name}`
}

function by(who: string | undefined, user: string | undefined, called: (user: string) => string): string {
  return who === undefined || who === user || who === 'anonymous' ? '' : ` by ${called(who)}`
}

function summary(run: RunView): string {
  const parts = [run.model ?? 'Answered']
  const tokens = run.usage?.outputTokens
  if (tokens !== undefined && tokens > 0)
    parts.push(`${tokens.toLocaleString('en')} ${tokens === 1 ? 'token' : 'tokens'}`)
  // Another process went on with it after the first one had died or was stopped.
  if (run.epoch > 1) parts.push('taken over by another owner')
  return parts.join(' · ')
}
