// RunParts: the output of a run in its order. A call that asks another agent shows the child run, with the same parts.
import { type CallView, isEnded, type RunPart, type RunView } from '@parley/client'
import { memo, type ReactNode, useState } from 'react'
import { useView } from '../connection/use-chat.ts'
import { Markdown } from '../markdown/markdown.tsx'
import { displayText } from '../shared/display-text.ts'
import { ErrorBoundary } from '../shared/error-boundary.tsx'
import { AgentCard } from './agent-card.tsx'
import { DataPart, FilePart, SourcePart, StreamedInput } from './answer-extras.tsx'
import { formatText } from './call-note.ts'
import { ToolCard } from './tool-card.tsx'

export function RunParts({ run }: { readonly run: RunView }) {
  return run.parts.map((part, at) => toPart(part, at, run))
}

/** The agent that speaks from here on. */
export function Speaker({ agent }: { readonly agent: string }) {
  return (
    <p className='speaker' dir='auto'>
      {displayText(agent)}
    </p>
  )
}

function toPart(part: RunPart, at: number, run: RunView): ReactNode {
  // Parts are only appended, so the index is a stable key.
  switch (part.type) {
    case 'text':
      return <Markdown key={at} text={part.text} ended={isPartEnded(run, at)} />
    case 'reasoning':
      return <Reasoning key={at} text={part.text} ended={isPartEnded(run, at)} />
    case 'tool':
      return (
        <ErrorBoundary key={part.call} fallback={<p className='note failed'>{part.name} couldn’t be displayed.</p>}>
          <Call call={part.call} name={part.name} />
        </ErrorBoundary>
      )
    case 'message':
      return (
        <p key={part.message} className='marker'>
          New message added here
        </p>
      )
    case 'input':
      return <StreamedInput key={`${part.call} input`} part={part} ended={isEnded(run)} />
    case 'data':
      return <DataPart key={at} part={part} />
    case 'source':
      return <SourcePart key={at} part={part} />
    case 'file':
      return <FilePart key={at} part={part} />
  }
}

function isPartEnded(run: RunView, at: number): boolean {
  return isEnded(run) || at < run.parts.length - 1
}

/** A call as what it does: it asks an agent, hands the answer to one, or runs a tool. */
const Call = memo(function Call({ call: id, name }: { readonly call: string; readonly name: string }) {
  const call = useView((view) => view.calls.get(id))
  const isKnown = useView((view) => call?.child !== undefined && view.runs.has(call.child.run))
  const isPending = call?.status === 'offered' || call?.status === 'claimed'
  if (call?.child !== undefined && (isKnown || isPending)) {
    return <AgentCard call={call} child={call.child} content={(run) => <RunParts run={run} />} />
  }
  if (call?.handoff !== undefined && (isPending || call.status === 'completed')) {
    return <HandOff call={call} to={call.handoff} />
  }
  return <ToolCard call={id} name={name} />
})

function HandOff({ call, to }: { readonly call: CallView; readonly to: string }) {
  const { reason } = (call.input ?? {}) as { readonly reason?: unknown }
  const why = typeof reason === 'string' && reason !== '' ? `: ${formatText(reason)}` : ''
  const done = call.status === 'completed'
  return (
    <>
      <p className='marker hand-off' data-call={call.id}>
        <span dir='auto'>{`${done ? 'Handed' : 'Handing'} over to ${displayText(to)}${why}`}</span>
      </p>
      {done ? <Speaker agent={to} /> : null}
    </>
  )
}

interface ReasoningProps {
  readonly text: string
  readonly ended: boolean
}

/** Collapsed by default. The text is rendered only while it is open. */
const Reasoning = memo(function Reasoning({ text, ended }: ReasoningProps) {
  const [open, setOpen] = useState(false)
  return (
    <details className='reasoning' open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{ended ? 'Reasoning' : 'Reasoning…'}</summary>
      {open ? <Markdown text={text} ended={ended} /> : null}
    </details>
  )
})
