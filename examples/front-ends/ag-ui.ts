// A chat with the client of AG-UI, as CopilotKit uses it. After a cut or a reload it follows its run again, from the beginning.
import { HttpAgent, type Message } from '@ag-ui/client'

interface Saved {
  readonly messages: Message[]
  /** The run under way. */
  readonly runId?: string
}

// The address keeps the thread's id for a reload, the browser its messages: AG-UI has no request for them.
const threadId = location.hash.slice(1) || `chat-${crypto.randomUUID()}`
location.hash = threadId
const saved: Saved = JSON.parse(localStorage.getItem(threadId) ?? '{"messages":[]}')
const agent = new HttpAgent({
  url: 'http://127.0.0.1:8080/v1/ag-ui',
  threadId,
  initialMessages: saved.messages,
})

function save(runId?: string): void {
  const state: Saved = { messages: agent.messages, ...(runId === undefined ? {} : { runId }) }
  localStorage.setItem(threadId, JSON.stringify(state))
}

function show(): void {
  const shown = agent.messages.map(({ role, content }) => {
    const line = document.createElement('p')
    line.dataset.role = role
    line.textContent = typeof content === 'string' ? content : ''
    return line
  })
  document.getElementById('chat')?.replaceChildren(...shown)
}

async function run(runId: string): Promise<void> {
  save(runId)
  const problems: string[] = []
  const failed = ({ event }: { event: { message: string } }) => void problems.push(event.message)
  // The server cancels the run if nobody follows it for a second.
  for (let tries = 0, isOver = false; !isOver && tries < 20; tries += 1) {
    isOver = await agent.runAgent({ runId }, { onMessagesChanged: show, onRunErrorEvent: failed }).then(
      () => true,
      () => new Promise((resolve) => setTimeout(() => resolve(false), 250)),
    )
  }
  save()
  document.getElementById('chat')?.append(...problems)
}

document.getElementById('form')?.addEventListener('submit', (event) => {
  event.preventDefault()
  const form = event.target as HTMLFormElement
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content: String(new FormData(form).get('text')) })
  form.reset()
  void run(`run-${crypto.randomUUID()}`)
})

show()
if (saved.runId !== undefined) void run(saved.runId)
