// CopilotKit's runtime between a page and Parley, whose address is in BASE_URL: it runs two turns of one thread, and prints the messages
// and the state that the page has then.
import { once } from 'node:events'
import { createServer } from 'node:http'
import process from 'node:process'
import { HttpAgent } from '@ag-ui/client'
import { CopilotRuntime, InMemoryAgentRunner } from '@copilotkit/runtime/v2'
import { createCopilotNodeListener } from '@copilotkit/runtime/v2/node'

const agent = new HttpAgent({ url: `${process.env.BASE_URL}/v1/ag-ui` })
const runtime = new CopilotRuntime({ agents: { default: agent }, runner: new InMemoryAgentRunner() })
const server = createServer(createCopilotNodeListener({ runtime, basePath: '/copilot' })).listen(0, '127.0.0.1')
await once(server, 'listening')

const url = `http://127.0.0.1:${server.address().port}/copilot/agent/default/run`
const page = new HttpAgent({ url, threadId: `copilot_${Date.now()}` })
for (const content of JSON.parse(process.env.PROMPT)) {
  page.addMessage({ id: crypto.randomUUID(), role: 'user', content })
  await page.runAgent()
}
const messages = page.messages.map(({ role, content = '' }) => [role, content])
process.stdout.write(`${JSON.stringify({ messages, state: page.state })}\n`)
process.exit(0)
