// The transport under the chat of `ai` 6 and 7, against a real server and a network that can be cut. The first group is
// what the AI SDK does unexpectedly, and how the transport copes with it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ParleyClient, type Session } from '@parley/client'
import type { ChatTransport, UIMessage } from 'ai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { Middlebox } from '../../client/test/middlebox.ts'
import { type ChatTool, ParleyChatTransport, type ParleyChatTransportOptions } from '../index.ts'
import { isDone, type NodeChat, nodeChat, textOf, toolOf, VERSIONS } from './node-chat.ts'

let server: ServerProcess
let box: Middlebox
const clients: ParleyClient[] = []
let names = 0
const folder = mkdtempSync(join(tmpdir(), 'parley-traps-'))

beforeAll(async () => {
  const config = join(folder, 'parley.config.json')
  writeFileSync(config, JSON.stringify({ agents: { lead: { agents: ['helper'] }, helper: {} } }))
  server = await ServerProcess.start({ PARLEY_ANONYMOUS: 'yes', PARLEY_CONFIG: config })
  box = await Middlebox.open(server.port)
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
})
afterAll(async () => {
  await box.close()
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function connect(): ParleyClient {
  const client = new ParleyClient({ url: box.url, reconnect: { baseMs: 50 } })
  clients.push(client)
  return client
}

function transportOf(options: Omit<ParleyChatTransportOptions, 'client'> = {}): ParleyChatTransport {
  return new ParleyChatTransport({ client: connect(), ...options })
}

/** Another device in the session. */
async function attend(id: string): Promise<Session> {
  const session = connect().session(id)
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (session.state.status === 'live') resolve()
    }
    session.subscribe(look)
    look()
  })
  return session
}

function counted(count: number): string {
  return Array.from({ length: count }, (_, i) => String(i)).join(' ')
}

function finished(chat: NodeChat): Promise<void> {
  return chat.until(({ status }) => status === 'ready' || status === 'error')
}

const erase: ChatTool = { name: 'erase', approval: true, execute: () => 'erased' }
const APPROVAL = '/demo tool=erase input={} count=3 rate=0'
/** The agent that is asked needs an approval. */
const ASKED = `/demo ask=helper message={${APPROVAL}} count=3 rate=0`

/** As a chat with approvals and tools of its own asks. */
function isAnswered(ai: (typeof VERSIONS)[number][1], at: { messages: UIMessage[] }): boolean {
  return (
    ai.lastAssistantMessageIsCompleteWithApprovalResponses(at) || ai.lastAssistantMessageIsCompleteWithToolCalls(at)
  )
}

describe.each(VERSIONS)('with %s', (_, ai) => {
  function setUp(
    options: Omit<ParleyChatTransportOptions, 'client'> = {},
    init: Partial<Parameters<typeof nodeChat>[1]> = {},
  ) {
    names += 1
    const id = `chat_${names}`
    const transport = transportOf(options)
    return { id, transport, chat: nodeChat(ai, { id, transport, ...init }) }
  }

  const whenApproved = { sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses }
  const whenCalled = { sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls }

  describe('the traps', () => {
    it('A1, A8: end the stream at an approval, and continue the same answer', async () => {
      const { chat } = setUp({ tools: [erase] }, whenApproved)
      await chat.sendMessage({ text: APPROVAL })
      expect([chat.status, toolOf(chat.last)?.state]).toEqual(['ready', 'approval-requested'])
      const { id } = chat.last as UIMessage
      await chat.addToolApprovalResponse({ id: toolOf(chat.last)?.approval?.id ?? '', approved: true })
      await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
      await finished(chat)
      expect([chat.requests, chat.messages.length, chat.last?.id]).toEqual([2, 2, id])
      expect(toolOf(chat.last)).toMatchObject({ state: 'output-available', output: 'erased' })
      expect(isDone(chat.last)).toBe(true)
    })

    it('A1: a denial reaches the model with its reason', async () => {
      const { chat, id } = setUp({ tools: [erase] }, whenApproved)
      await chat.sendMessage({ text: APPROVAL })
      await chat.addToolApprovalResponse({ id: toolOf(chat.last)?.approval?.id ?? '', approved: false, reason: 'No.' })
      await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
      await finished(chat)
      expect(toolOf(chat.last)).toMatchObject({ state: 'output-denied' })
      const [call] = (await attend(id)).state.calls.values()
      expect(call?.decision).toMatchObject({ decision: 'deny', reason: 'No.' })
    })

    it.each([true, false])('A1, A8: the same for an approval of an agent that was asked: %s', async (approved) => {
      const { chat } = setUp({ tools: [erase], agent: 'lead' }, whenApproved)
      await chat.sendMessage({ text: ASKED })
      const asked = toolOf(chat.last, 'erase')
      expect([chat.status, asked?.state]).toEqual(['ready', 'approval-requested'])
      expect(asked?.callProviderMetadata?.parley).toMatchObject({ agent: 'helper' })
      await chat.addToolApprovalResponse({ id: asked?.approval?.id ?? '', approved })
      await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
      await finished(chat)
      expect([chat.requests, chat.messages.length, isDone(chat.last)]).toEqual([2, 2, true])
      expect(toolOf(chat.last, 'erase')?.state).toBe(approved ? 'output-available' : 'output-denied')
      expect(toolOf(chat.last, 'ask_helper')?.state).toBe('output-available')
    })

    it('A1: an approval of one agent is sent while another one works', async () => {
      const { chat, id } = setUp({ tools: [erase], agent: 'lead' }, whenApproved)
      const slow = 'ask=helper message={/demo count=2000 rate=50}'
      await chat.sendMessage({ text: `/demo ${slow} ask=helper message={${APPROVAL}} count=3 rate=0` })
      const asked = toolOf(chat.last, 'erase')
      await chat.addToolApprovalResponse({ id: asked?.approval?.id ?? '', approved: true })
      await chat.until(({ last }) => toolOf(last, 'erase')?.state === 'output-available')
      const session = await attend(id)
      const other = [...session.state.runs.values()].find(({ parent, status }) => parent && status === 'running')
      expect(other?.agent).toBe('helper')
      await session.cancel(other?.id)
      await finished(chat)
      expect([chat.requests, textOf(chat.last).endsWith(counted(3))]).toEqual([2, true])
    })

    it('A9: continue after a tool of the chat that another agent called', async () => {
      const { chat } = setUp({ tools: [{ name: 'ask_user' }], agent: 'lead' }, whenCalled)
      await chat.sendMessage({ text: ASKED.replace('erase', 'ask_user') })
      const { toolCallId = '' } = toolOf(chat.last, 'ask_user') ?? {}
      void chat.addToolOutput({ tool: 'ask_user', toolCallId, output: { size: 'big' } })
      await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
      await finished(chat)
      expect([chat.requests, toolOf(chat.last, 'ask_helper')?.output]).toEqual([2, expect.stringContaining('big')])
    })

    it('A2: send a message once, although its answer ends at a tool that ran elsewhere', async () => {
      const asked: unknown[] = []
      const { chat, id } = setUp({}, { ...whenCalled, onToolCall: ({ toolCall }) => void asked.push(toolCall) })
      const other = connect().session(id, { tools: [{ name: 'look', execute: () => new Promise(() => undefined) }] })
      await other.send('/demo count=1 rate=0').result()
      const sent = chat.sendMessage({ text: '/demo tool=look input={} count=5' })
      await chat.until(({ last }) => toolOf(last)?.state === 'input-available')
      await other.cancel()
      await sent
      expect([chat.status, chat.requests, asked]).toEqual(['ready', 1, []])
      expect(toolOf(chat.last)?.state).toBe('output-error')
    })

    it.each(['of its own', 'of an agent that was asked'])(
      'A2: send an output of the chat once, although an approval %s is open',
      async (whose) => {
        let sent = 0
        const sendAutomaticallyWhen = (at: { messages: UIMessage[] }): boolean => {
          // A loop must end.
          if (!isAnswered(ai, at) || sent > 5) return false
          sent += 1
          return true
        }
        const { chat } = setUp({ tools: [erase, { name: 'ask_user' }], agent: 'lead' }, { sendAutomaticallyWhen })
        const asked = `/demo tool=ask_user input={} tool=erase input={} count=3 rate=0`
        await chat.sendMessage({
          text: whose === 'of its own' ? asked : `/demo ask=helper message={${asked}} count=3 rate=0`,
        })
        await chat.until(({ last }) => toolOf(last, 'erase')?.state === 'approval-requested')
        const { toolCallId = '' } = toolOf(chat.last, 'ask_user') ?? {}
        void chat.addToolOutput({ tool: 'ask_user', toolCallId, output: { size: 'big' } })
        await chat.until(({ requests }) => requests === 2)
        await finished(chat)
        expect([chat.status, chat.requests]).toEqual(['ready', 2])
        await chat.addToolApprovalResponse({ id: toolOf(chat.last, 'erase')?.approval?.id ?? '', approved: true })
        await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
        await finished(chat)
        expect([chat.requests, isDone(chat.last)]).toEqual([3, true])
      },
    )

    it('A3, A6: wait out a lost connection, which the chat does not notice', async () => {
      const states: string[] = []
      const { chat } = setUp()
      const sent = chat.sendMessage({ text: '/demo count=80 rate=80' })
      await chat.until(({ last }) => textOf(last).includes('0 1 2 3'))
      for (const words of ['5', '20', '40']) {
        await chat.until(({ last }) => textOf(last).includes(` ${words}`))
        box.cut()
        states.push(chat.status)
      }
      await sent
      expect(states).toEqual(['streaming', 'streaming', 'streaming'])
      expect([chat.status, chat.error, textOf(chat.last)]).toEqual(['ready', undefined, counted(80)])
      expect(isDone(chat.last)).toBe(true)
    })

    it('A4: show an answer that somebody else cancelled as interrupted, with all parts closed', async () => {
      const finish: unknown[] = []
      const { chat, id } = setUp({}, { onFinish: ({ finishReason }) => finish.push(finishReason) })
      const sent = chat.sendMessage({ text: '/demo reasoning=2 count=2000 rate=50' })
      await chat.until(({ last }) => textOf(last).includes('0 1 2'))
      const other = await attend(id)
      await other.cancel()
      await sent
      expect([chat.status, finish, isDone(chat.last)]).toEqual(['ready', ['interrupted'], true])
      expect(textOf(chat.last)).toBe([...other.state.runs.values()][0]?.text)
    })

    it('A5: show the text before a failure, then its message', async () => {
      const { chat } = setUp()
      await chat.sendMessage({ text: '/demo count=10 fail=4 rate=0' })
      expect([chat.status, textOf(chat.last), isDone(chat.last)]).toEqual(['error', counted(4), true])
      expect(chat.error?.message).not.toBe('')
    })

    it.each([true, undefined])('A7: replay an answer without doubling it (resumeStreamIsReplay: %s)', async (flag) => {
      const { chat, id, transport } = setUp()
      const sent = chat.sendMessage({ text: '/demo count=60 rate=40' })
      await chat.until(({ last }) => textOf(last).includes('0 1 2'))
      // `useChat` of `ai` 6 hides the flag of a transport.
      const { sendMessages, reconnectToStream } = transport
      const hidden: ChatTransport<UIMessage> = { sendMessages, reconnectToStream }
      if (flag === true) Object.assign(hidden, { resumeStreamIsReplay: true })
      const again = nodeChat(ai, { id, transport: hidden, messages: structuredClone(chat.messages) })
      await again.resumeStream()
      await sent
      for (const { messages } of [chat, again]) expect(messages.map(textOf)[1]).toBe(counted(60))
      expect(again.messages).toHaveLength(2)
    })

    it('A9: continue after a tool of the chat, whose handler is slow and answers with addToolOutput', async () => {
      const { chat } = setUp(
        { tools: [{ name: 'ask_user' }] },
        {
          ...whenCalled,
          onToolCall: async ({ toolCall }) => {
            await new Promise((resolve) => setTimeout(resolve, 50))
            void chat.addToolOutput({ tool: 'ask_user', toolCallId: toolCall.toolCallId, output: { size: 'big' } })
          },
        },
      )
      await chat.sendMessage({ text: '/demo tool=ask_user input={} count=3 rate=0' })
      await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
      await finished(chat)
      expect([chat.requests, chat.messages.length]).toEqual([2, 2])
      expect(toolOf(chat.last)).toMatchObject({ state: 'output-available', output: { size: 'big' } })
      expect(textOf(chat.last)).toContain('big')
    })

    it('A9: report an error of such a tool to the model', async () => {
      const { chat } = setUp({ tools: [{ name: 'ask_user' }] }, whenCalled)
      await chat.sendMessage({ text: '/demo tool=ask_user input={} count=3 rate=0' })
      const { toolCallId } = toolOf(chat.last) ?? { toolCallId: '' }
      await chat.addToolOutput({ state: 'output-error', tool: 'ask_user', toolCallId, errorText: 'Nobody is here.' })
      await chat.until(({ last }) => textOf(last).endsWith(counted(3)))
      expect(toolOf(chat.last)).toMatchObject({ state: 'output-error', errorText: 'Nobody is here.' })
    })

    it('A11: resume nothing when no answer is generated, without an error', async () => {
      const { chat } = setUp()
      await chat.sendMessage({ text: '/demo count=3 rate=0' })
      const before = chat.messages
      await chat.resumeStream()
      expect([chat.status, chat.error, chat.messages]).toEqual(['ready', undefined, before])
    })

    it.each(['interrupt', 'queue', 'steer'] as const)('A12, A10: %s by a second message', async (policy) => {
      const { chat, id } = setUp({ policy })
      const first = chat.sendMessage({ text: '/demo count=40 rate=40' })
      await chat.until(({ last }) => textOf(last).includes('0 1 2'))
      const second = chat.sendMessage({ text: '/demo count=5 rate=0' })
      await Promise.all([first, second])
      await chat.until(() => chat.messages.every(isDone))
      const [one, two] = chat.messages.filter(({ role }) => role === 'assistant').map(textOf)
      const session = await attend(id)
      const texts = session.state.turns.flatMap(({ run }) => (run === undefined ? [] : [run.text]))
      // The session separates the texts before and after a steering message.
      const words = (text = ''): string => text.replaceAll(/\s/g, '')
      expect(words([one, two].join(''))).toBe(words(texts.join('')))
      if (policy === 'queue') expect([one, two]).toEqual([counted(40), counted(5)])
      if (policy === 'interrupt') expect([one?.length !== counted(40).length, two]).toEqual([true, counted(5)])
    })
  })

  describe('a chat', () => {
    it('stops: at once, for everybody, and with what was seen', async () => {
      const { chat, id } = setUp()
      const sent = chat.sendMessage({ text: '/demo count=2000 rate=50' })
      await chat.until(({ last }) => textOf(last).includes('0 1 2'))
      await chat.stop()
      await sent
      const session = await attend(id)
      const [run] = session.state.runs.values()
      await expect.poll(() => [...session.state.runs.values()][0]?.status).toBe('cancelled')
      expect(run?.text.startsWith(textOf(chat.last))).toBe(true)
    })

    it('stops an answer that it has resumed, but not by resuming twice', async () => {
      const { chat, id, transport } = setUp()
      const sent = chat.sendMessage({ text: '/demo count=2000 rate=50' })
      await chat.until(({ last }) => textOf(last).includes('0 1 2'))
      const again = nodeChat(ai, { id, transport: transportOf(), messages: [] })
      const resumed = [again.resumeStream(), again.resumeStream()]
      await again.until(({ last }) => textOf(last).includes('0 1 2 3 4'))
      expect(chat.status).toBe('streaming')
      void again.resumeStream()
      await again.until(({ last, status }) => status === 'streaming' && textOf(last).includes(' 15'))
      await again.stop()
      await Promise.all([sent, ...resumed])
      expect([chat.status, again.status]).toEqual(['ready', 'ready'])
      expect(transport.resumeStreamIsReplay).toBe(true)
    })

    it('edits and regenerates: other versions of the same turn', async () => {
      const { chat, id } = setUp()
      await chat.sendMessage({ text: '/demo count=3 rate=0' })
      const [question] = chat.messages
      await chat.sendMessage({ text: '/demo count=4 rate=0', messageId: question?.id ?? '' })
      expect(chat.messages.map(textOf)).toEqual(['/demo count=4 rate=0', counted(4)])
      await chat.regenerate()
      await chat.sendMessage({ text: '/demo count=2 rate=0' })
      expect(chat.messages.map(textOf).slice(1)).toEqual([counted(4), '/demo count=2 rate=0', counted(2)])
      const { turns } = (await attend(id)).state
      expect(turns.map(({ versions }) => versions.length)).toEqual([3, 1])
      expect(turns.map(({ run }) => run?.text)).toEqual([counted(4), counted(2)])
    })

    it('sends options of one message, and files', async () => {
      const { chat, id } = setUp()
      const url = 'data:text/plain;base64,SGk='
      const files = [{ type: 'file' as const, mediaType: 'text/plain', filename: 'a.txt', url }]
      await chat.sendMessage({ text: '/demo count=3 rate=0', files }, { body: { policy: 'queue', model: 'demo' } })
      expect(textOf(chat.last)).toBe(counted(3))
      const [message] = (await attend(id)).state.messages
      expect(message).toMatchObject({ policy: 'queue', model: 'demo' })
      expect(message?.content[0]).toMatchObject({ type: 'file', name: 'a.txt', data: 'SGk=' })
    })

    it('gets a refusal as an error', async () => {
      const { chat } = setUp()
      await chat.sendMessage({ text: 'Hello' }, { body: { model: 'nothing' } })
      expect([chat.status, chat.error]).toMatchObject(['error', { code: 'model_not_allowed' }])
    })

    it('follows its session: loads it, resumes, and shows the messages of others', async () => {
      const { chat, id } = setUp()
      await chat.sendMessage({ text: '/demo count=3 rate=0' })
      const transport = transportOf()
      const tab = nodeChat(ai, { id, transport })
      tab.follow(transport)
      await tab.until(({ messages }) => messages.length === 2)
      expect(tab.messages.map(textOf)).toEqual(chat.messages.map(textOf))
      const other = await attend(id)
      const reply = other.send('/demo count=30 rate=60')
      await tab.until(({ status, messages }) => status === 'streaming' && messages.length === 4)
      await reply.result()
      await tab.until(({ status, last }) => status === 'ready' && textOf(last) === counted(30) && isDone(last))
      expect(await transport.messages(id)).toMatchObject([{}, {}, { role: 'user' }, { role: 'assistant' }])
    })

    it('follows a decision of another person', async () => {
      const { chat, id, transport } = setUp({ tools: [erase] }, whenApproved)
      chat.follow(transport)
      await chat.sendMessage({ text: APPROVAL })
      expect(toolOf(chat.last)?.state).toBe('approval-requested')
      const other = await attend(id)
      const [call] = other.state.calls.values()
      await other.decide(call?.id ?? '', 'approve')
      await chat.until(({ last, status }) => status === 'ready' && textOf(last).endsWith(counted(3)))
      expect([chat.requests, chat.messages.length, isDone(chat.last)]).toEqual([1, 2, true])
    })

    it('follows and loads an approval of an agent that was asked', async () => {
      const { chat, id } = setUp({ tools: [erase], agent: 'lead' })
      await chat.sendMessage({ text: ASKED })
      const transport = transportOf({ tools: [erase] })
      const tab = nodeChat(ai, { id, transport, ...whenApproved })
      tab.follow(transport)
      await tab.until(({ last, status }) => status === 'ready' && toolOf(last, 'erase')?.state === 'approval-requested')
      await tab.addToolApprovalResponse({ id: toolOf(tab.last, 'erase')?.approval?.id ?? '', approved: true })
      await tab.until(({ last, status }) => status === 'ready' && textOf(last).endsWith(counted(3)))
      const [, loaded] = await transport.messages(id)
      expect([tab.last?.id, isDone(tab.last)]).toEqual([loaded?.id, true])
      expect(toolOf(loaded, 'erase')).toMatchObject({ state: 'output-available', output: 'erased' })
    })

    it('cancels an answer that waits for an approval', async () => {
      const { chat, id, transport } = setUp({ tools: [erase] })
      await chat.sendMessage({ text: APPROVAL })
      await transport.cancel(id)
      const [run] = (await attend(id)).state.runs.values()
      expect(run?.status).toBe('cancelled')
    })
  })
})
