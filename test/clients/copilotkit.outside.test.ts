// CopilotKit's runtime in front of a real server: text, a tool of the server with its state, and a second turn of the thread.
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoText } from '../../server/model/demo-answer.ts'
import { ClientProcess } from './client-process.ts'
import { prepare } from './toolchains.ts'

const CLIENT = { name: 'CopilotKit', language: 'copilotkit', id: 'runtime' } as const

let server: ServerProcess
beforeAll(async () => {
  prepare('copilotkit')
  server = await ServerProcess.start()
})
afterAll(() => server?.dispose())

it('CopilotKit’s runtime gets two turns of a thread, with a call and the shared state', async () => {
  const prompts = ['/demo count=5 rate=0', '/demo count=3 rate=0 tool=demo_report input={"steps":2,"ms":1}']
  const running = new ClientProcess(CLIENT, [], {
    BASE_URL: `http://127.0.0.1:${server.port}`,
    PROMPT: JSON.stringify(prompts),
    COPILOTKIT_TELEMETRY_DISABLED: 'true',
  })
  onTestFinished(() => running.kill())
  await running.exit()
  expect(JSON.parse(running.lines.at(-1) ?? '{}'), running.report).toEqual({
    messages: [
      ['user', prompts[0]],
      ['assistant', demoText(prompts[0] ?? '')],
      ['user', prompts[1]],
      ['assistant', ''],
      ['tool', '{"steps":2}'],
      ['assistant', demoText(prompts[1] ?? '', [{ output: { steps: 2 } }])],
    ],
    state: {
      report: {
        rows: [
          [1, 1],
          [2, 4],
        ],
      },
    },
  })
})
