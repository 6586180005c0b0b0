// Inspector: the parts of the page, and the state of its connection to the log.
import { BROKEN_PART, ErrorBoundary } from '../shared/error-boundary.tsx'
import { ConversationSnapshot } from './conversation-snapshot.tsx'
import { Entries } from './entries.tsx'
import type { InspectionState } from './inspection.ts'
import { AccessDenied, TokenPrompt } from './prompts.tsx'
import { Readers } from './readers.tsx'
import { Runs } from './runs.tsx'
import { Scrubber } from './scrubber.tsx'
import { useInspection, useInspectionState } from './use-inspection.ts'

export function Inspector() {
  const phase = useInspectionState((state) => state.phase)
  const error = useInspectionState((state) => state.error)
  if (phase === 'sign-in') return <TokenPrompt error={error} />
  if (phase === 'denied') return <AccessDenied error={error} />
  return (
    <div className='inspector'>
      <ErrorBoundary fallback={BROKEN_PART}>
        <Head />
      </ErrorBoundary>
      <ErrorBoundary fallback={BROKEN_PART}>
        <Scrubber />
      </ErrorBoundary>
      <main className='panels'>
        {[Runs, ConversationSnapshot, Entries, Readers].map((Panel) => (
          <ErrorBoundary key={Panel.name} fallback={BROKEN_PART}>
            <Panel />
          </ErrorBoundary>
        ))}
      </main>
    </div>
  )
}

function Head() {
  const { session } = useInspection()
  const title = useInspectionState((state) => state.timeline.head.title)
  const badge = useInspectionState(badgeOf)
  const phase = useInspectionState((state) => state.phase)
  return (
    <header className='inspector-head'>
      <h1>
        <span className='brand'>Inspector</span>{' '}
        <span className='inspected' dir='auto'>
          {title ?? session}
        </span>
      </h1>
      <p className={`badge ${phase}`} role='status'>
        <span className='badge-dot' aria-hidden='true' />
        <span>{badge}</span>
      </p>
      <a className='button' href={`/?session=${session}`}>
        Open chat
      </a>
    </header>
  )
}

function badgeOf({ phase, merges }: InspectionState): string {
  const how = merges ? ' over long polling: adjacent outputs are merged' : ''
  if (phase === 'live') return `Live${how}`
  if (phase === 'lost') return 'Interrupted, retrying'
  return phase === 'connecting' ? 'Connecting' : `Loading${how}`
}
