// An agent of LangGraph (python/langgraph_agent.py) behind Parley: it uses a tool of its own, asks the person, and books with a tool of this
// client after an approval.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openQuestion, ParleyClient, type Session } from '@parley/client'
import { withServer } from './server.ts'

const python = process.env.PYTHON ?? 'python3'
const programs = fileURLToPath(new URL('../python', import.meta.url))
const check = spawnSync(python, ['-c', 'import ag_ui_langgraph, fastapi, uvicorn'], { encoding: 'utf8' })
if (check.status !== 0) {
  console.error(`This example needs Python 3.10 or later with the packages of examples/python/requirements-agent.txt:

  python3 -m venv .venv
  .venv/bin/pip install -r examples/python/requirements-agent.txt
  PYTHON=.venv/bin/python node examples/dist/remote-agent.js

${python}: ${check.error?.message ?? check.stderr.trim().split('\n').at(-1)}`)
  process.exit(1)
}

const agent = spawn(python, ['langgraph_agent.py'], { cwd: programs, stdio: ['ignore', 'pipe', 'inherit'] })
process.on('exit', () => agent.kill())
const [port] = (await once(createInterface({ input: agent.stdout }), 'line')) as [string]

const folder = await mkdtemp(join(tmpdir(), 'parley-remote-'))
const config = join(folder, 'parley.config.json')
const agents = { travel: { agui: `http://127.0.0.1:${port}/agent`, description: 'Plans trips.' } }
await writeFile(config, JSON.stringify({ agents }))

/** What a person does on the page: they choose the second hotel, and approve the booking. */
function answerAsPerson(session: Session): void {
  const answered = new Set<string>()
  session.subscribe(() => {
    for (const call of session.state.calls.values()) {
      const question = openQuestion(call)
      if (question !== undefined && !answered.has(question.id)) {
        answered.add(question.id)
        console.log(question.message)
        session.answer(call.id, question.id, 'accept', { hotel: 'Harbour' }).catch(fail)
      }
      if (call.status === 'deciding' && !answered.has(call.id)) {
        answered.add(call.id)
        console.log(`May ${call.name} run with ${JSON.stringify(call.input)}?`)
        session.decide(call.id, 'approve').catch(fail)
      }
    }
  })
}

function fail(error: unknown): void {
  assert.fail(String(error))
}

await withServer(
  async (url) => {
    const client = new ParleyClient({ url })
    const booked: unknown[] = []
    const session = client.session(`remote-${crypto.randomUUID()}`, {
      tools: [
        {
          name: 'book',
          description: 'Books a hotel.',
          inputSchema: { type: 'object', properties: { hotel: { type: 'string' } }, required: ['hotel'] },
          approval: true,
          execute: (input) => {
            booked.push(input)
            return 'room 12'
          },
        },
      ],
    })
    answerAsPerson(session)
    const { text } = await session.send('A night in Oslo, please.', { agent: 'travel' }).result()
    console.log(text)
    assert.equal(text, 'Booked: room 12')
    assert.deepEqual(booked, [{ hotel: 'Harbour' }])
    const calls = [...session.state.calls.values()].map(({ name, output }) => [name, output])
    assert.deepEqual(calls, [
      ['find_hotels', '["Fjord", "Harbour"]'],
      ['ask_person', { hotel: 'Harbour' }],
      ['book', 'room 12'],
    ])
    await client.close()
  },
  { PARLEY_CONFIG: config },
)
agent.kill()
await rm(folder, { recursive: true })
