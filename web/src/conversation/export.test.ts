// Tests the exported forms of a conversation: turns, versions, answers with tool calls, and names of files.
import { applyEntry, type CallView, newSession, type SessionView } from '@parley/client'
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { exportJson, exportMarkdown, exportName } from './export.ts'

const USAGE = { inputTokens: 0, outputTokens: 0 }
const asked = (id: string, text: string, parent: string | null): Event => {
  const content = [{ type: 'text' as const, text }]
  return { type: 'message', id, role: 'user', author: 'ann', content, policy: 'queue', run: `r_${id}`, parent }
}
const EVENTS: readonly Event[] = [
  { type: 'session.updated', title: 'A weekend\nin Bern' } as Event,
  asked('m1', 'Hello', null),
  { type: 'run.started', run: 'r_m1', epoch: 1, mode: 'new', model: 'demo', message: 'm1', next: 0 },
  { type: 'run.output', run: 'r_m1', index: 0, kind: 'reasoning', text: 'Let me\nsee.' },
  { type: 'run.output', run: 'r_m1', index: 1, kind: 'text', text: '**Hi**' },
  {
    type: 'tool.called',
    run: 'r_m1',
    call: 'c1',
    name: 'look',
    input: { code: 'a ``` b' },
    where: 'client',
    approval: false,
    attempt: 1,
    until: 9e12,
    step: 0,
  },
  { type: 'tool.result', run: 'r_m1', call: 'c1', output: { found: true }, by: 'c' } as Event,
  { type: 'run.ended', run: 'r_m1', reason: 'cancelled', usage: USAGE, next: 2 },
  asked('m2', 'Not shown', 'm1'),
  asked('m3', 'Shown instead', 'm1'),
]
const view = EVENTS.reduce<SessionView>((before, event, at) => {
  return applyEntry(before, { cursor: `e.${at + 1}`, time: 1_000 * at, event })
}, newSession('ses_1'))

describe('an exported conversation', () => {
  it('has as Markdown each shown turn with its version, answer and tool calls', () => {
    expect(exportMarkdown(view)).toBe(`# A weekend in Bern

---

**ann**, 1970-01-01T00:00:01.000Z

Hello

**Answer** by demo, cancelled

> Let me
> see.

**Hi**

*Tool look, completed*

\`\`\`\`json
{
  "code": "a \`\`\` b"
}
\`\`\`\`

\`\`\`json
{
  "found": true
}
\`\`\`

---

**ann**, 1970-01-01T00:00:09.000Z, version 2 of 2

Shown instead

**Answer**, queued
`)
  })

  it('has the answers of agents that were asked inside the answer', () => {
    const parent = { run: 'r_m1', call: 'c2' }
    const child = { run: 'r_2', agent: 'helper' }
    const started = { type: 'run.started', epoch: 1, mode: 'new', model: 'demo', next: 0 } as const
    const events: readonly Event[] = [
      ...EVENTS.slice(0, 2),
      { ...started, run: 'r_m1', message: 'm1', agent: 'lead' },
      {
        ...(EVENTS[5] as Event & { type: 'tool.called' }),
        call: 'c2',
        where: 'server',
        input: { message: 'How\nmany?' },
        child,
      },
      { ...started, run: 'r_2', message: 'c2', agent: 'helper', parent },
      { type: 'run.output', run: 'r_2', index: 0, kind: 'text', text: 'Two\nof them.' },
      { type: 'run.ended', run: 'r_2', reason: 'completed', usage: USAGE, next: 1 },
    ]
    const asking = events.reduce<SessionView>((before, event, at) => {
      return applyEntry(before, { cursor: `e.${at + 1}`, time: 0, event })
    }, newSession('ses_1'))
    expect(exportMarkdown(asking)).toContain(`**Answer** from lead by demo, running

> *Asked*: How
> many?
> 
> **Answer** from helper by demo
> 
> Two
> of them.
`)
    const { turns } = JSON.parse(exportJson(asking, 0))
    expect(turns[0].children).toMatchObject([{ run: { id: 'r_2', text: 'Two\nof them.' }, calls: [] }])
  })

  it('has a fence for any number of backticks', () => {
    const call = view.calls.get('c1') as CallView
    const calls = view.calls.with('c1', { ...call, input: '` '.repeat(131_072) })
    expect(exportMarkdown({ ...view, calls })).toContain('\n\n```json\n"` ` ')
  })

  it('has as JSON the same, as data', () => {
    const { turns, ...rest } = JSON.parse(exportJson(view, 5_000))
    expect(rest).toEqual({ session: 'ses_1', title: 'A weekend\nin Bern', exportedAt: '1970-01-01T00:00:05.000Z' })
    expect(turns).toMatchObject([
      { message: { id: 'm1', text: 'Hello' }, run: { text: '**Hi**', status: 'cancelled' }, calls: [{ name: 'look' }] },
      { message: { id: 'm3' }, version: 2, versions: 2 },
    ])
    expect(turns).toHaveLength(2)
  })
})

it.each([
  ['A weekend\nin Bern', 'A weekend in Bern.md'],
  ['../../etc/passwd', 'etc passwd.md'],
  ['a\u202Egpj.exe', 'a gpj.exe.md'],
  ['週末: "ベルン"?', '週末 ベルン.md'],
  ['🙂'.repeat(90), `${'🙂'.repeat(80)}.md`],
  [' … ', '….md'],
  ['...', 'chat.md'],
  [undefined, 'chat.md'],
])('the title %j gives the file name %j', (title, name) => {
  expect(exportName(title, 'md')).toBe(name)
})
