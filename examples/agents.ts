// Agents: a lead asks three others in parallel, and one of them is stopped. Then an agent hands the conversation to another.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ParleyClient } from '@parley/client'
import { withServer } from './server.ts'

const folder = await mkdtemp(join(tmpdir(), 'parley-agents-'))
const config = join(folder, 'parley.config.json')
const agents = { lead: { agents: ['researcher'], handoff: ['support'] }, researcher: {}, support: {} }
await writeFile(config, JSON.stringify({ agents }))

interface Entry {
  readonly type: string
  readonly event?: {
    readonly type: string
    readonly run: string
    readonly text?: string
    readonly agent?: string
    readonly input?: { readonly message?: string }
    readonly child?: { readonly run: string }
    readonly output?: readonly { readonly type: string; readonly text: string }[]
  }
}

/** The entries of a run and its child runs, as lines of JSON. */
async function* entriesOf(url: string, session: string, run: string): AsyncGenerator<NonNullable<Entry['event']>> {
  const response = await fetch(`${url}/v1/sessions/${session}/events?run=${run}&children=true`, {
    headers: { accept: 'application/x-ndjson' },
  })
  assert.ok(response.ok && response.body !== null)
  let rest = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const { type, event } = line === '' ? { type: '' } : (JSON.parse(line) as Entry)
      if (type === 'entry' && event !== undefined) yield event
    }
  }
}

await withServer(
  async (url) => {
    const client = new ParleyClient({ url })
    const session = client.session(`agents-${crypto.randomUUID()}`)

    // The third answer would take hours.
    const directives = [4, 6, 1_000_000].map((count) => `ask=researcher message={/demo count=${count} rate=50}`)
    const reply = session.send(`/demo ${directives.join(' ')} count=3 rate=0`, { agent: 'lead' })
    const { run } = await reply.accepted
    const texts = new Map<string, string>()
    let endless: string | undefined
    let stopped = false
    for await (const event of entriesOf(url, session.id, run)) {
      if (event.type === 'tool.called' && event.child !== undefined) {
        texts.set(event.child.run, texts.get(event.child.run) ?? '')
        if (event.input?.message?.includes('1000000') === true) endless = event.child.run
      }
      if (event.run === run) continue
      // A reader that comes late gets the output so far, or that of a run which has ended, in one event.
      if (event.output !== undefined) texts.set(event.run, event.output.map(({ text }) => text).join(''))
      if (event.type !== 'run.output') continue
      texts.set(event.run, (texts.get(event.run) ?? '') + event.text)
      if (event.run !== endless || stopped) continue
      stopped = true
      await session.cancel(endless)
    }
    const lead = await reply.result()
    const [first, second, third = ''] = texts.values()
    assert.equal(first, '0 1 2 3')
    assert.equal(second, '0 1 2 3 4 5')
    assert.match(third, /^0/)
    assert.match(lead.text, /"0 1 2 3"\n+"0 1 2 3 4 5"\n+\{"error":"The run was cancelled."\}\n+0 1 2$/)
    console.log(lead.text)

    // The conversation is handed over, and the next message goes to the other agent.
    await session.send('/demo handoff=support reason={a refund} count=2 rate=0', { agent: 'lead' }).result()
    const next = session.send('/demo count=1 rate=0')
    const later = await next.accepted
    for await (const event of entriesOf(url, session.id, later.run)) {
      if (event.type === 'run.started') assert.equal(event.agent, 'support')
    }
    assert.equal((await next.result()).text, '0')
    await client.close()
  },
  { PARLEY_CONFIG: config },
)
await rm(folder, { recursive: true })
