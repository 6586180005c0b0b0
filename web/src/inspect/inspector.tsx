// Inspector: the page's parts, and how it stands with the log.

import { PastConversation } from './conversation-snapshot.tsx'
import { Entries } from './entries.tsx'
import type { InspectionState } from './inspection.ts'
import { AskForToken, Refused } from './questions.tsx'
import { Readers } from './readers.tsx'
import { Runs } from './runs.tsx'
import { Scrubber } from './scrubber.tsx'
import { useInspection, useShown } from './use-inspection.ts'

export function Inspector() {
  const phase = useShown((state) => state.phase)
  const refusal = useShown((state) => state.refusal)
  if (phase === 'token') return <AskForToken refusal={refusal} />
  if (phase === 'refused') return <Refused refusal={refusal} />
  return (
    <div className='inspector'>
      <Head />
      <Scrubber />
      <main className='panels'>
        <Runs />
        <PastConversation />
        <Entries />
        <Readers />
      </main>
    </div>
  )
}

function Head() {
  const { session } = useInspection()
  const title = useShown((state) => state.timeline.head.title)
  const badge = useShown(badgeOf)
  const phase = useShown((state) => state.phase)
  return (
    <header className='inspector-head'>
      <h1>
        <span className='brand'>Inspector</span> <span className='inspected'>{title ?? session}</span>
      </h1>
      <p className={`badge ${phase}`} role='status'>
        <span className='badge-dot' aria-hidden='true' />
        <span>{badge}</span>
      </p>
      <a className='button' href={`/?session=${session}`}>
        Conversation
      </a>
    </header>
  )
}

function badgeOf({ phase, merges }: InspectionState): string {
  const how = merges ? ' by polls: neighbouring outputs come as one entry' : ''
  if (phase === 'live') return `Live${how}`
  if (phase === 'lost') return 'Cut off: tries again'
  return phase === 'asking' ? 'Asks' : `Reads the log${how}`
}
