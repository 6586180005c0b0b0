// Tests the command `parley` as a separate process, against a real server.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { ParleyClient } from '../index.ts'
import { until } from '../test/until.ts'

const MAIN = fileURLToPath(new URL('../dist/chat/main.js', import.meta.url))

/** More than any answer needs, except one. */
const RUN_TOKENS = 5_000

let server: ServerProcess
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-chat-'))
  const config = join(folder, 'parley.config.json')
  const agents = { lead: { agents: ['researcher'], handoff: ['support'] }, researcher: {}, support: {} }
  await writeFile(config, JSON.stringify({ agents }))
  server = await ServerProcess.start({ PARLEY_RUN_TOKENS: String(RUN_TOKENS), PARLEY_CONFIG: config })
})
afterAll(async () => {
  await server.dispose()
  await rm(folder, { recursive: true })
})

class Chat {
  readonly child: ChildProcessWithoutNullStreams
  readonly exit: Promise<number | null>
  out = ''
  err = ''

  constructor(args: readonly string[]) {
    const env = { PATH: process.env.PATH, PARLEY_URL: server.url }
    this.child = spawn(process.execPath, [MAIN, ...args], { env })
    this.child.stdout.on('data', (data: Buffer) => {
      this.out += data.toString()
    })
    this.child.stderr.on('data', (data: Buffer) => {
      this.err += data.toString()
    })
    this.exit = once(this.child, 'close').then(([code]) => code as number | null)
  }

  /** Sends a line; `says` then only considers later output. */
  type(line: string): void {
    this.out = ''
    this.child.stdin.write(`${line}\n`)
  }

  /** Resolves when the output contains it. */
  async says(text: string): Promise<void> {
    while (!this.out.includes(text)) {
      const ended = await Promise.race([once(this.child.stdout, 'data'), this.exit.then(() => 'ended')])
      if (ended === 'ended' && !this.out.includes(text)) throw new Error(`missing output: ${text} in: ${this.out}`)
    }
  }
}

function counted(count: number): string {
  return Array.from({ length: count }, (_, i) => String(i)).join(' ')
}

describe('parley', () => {
  it('prints help and version, and refuses unknown arguments', async () => {
    const help = new Chat(['--help'])
    expect(await help.exit).toBe(0)
    expect(help.out).toContain('parley chat [options]')
    const version = new Chat(['--version'])
    expect(await version.exit).toBe(0)
    expect(version.out).toMatch(/^parley \d+\.\d+\.\d+\n$/)
    for (const args of [['--nonsense'], ['dance'], ['--url', 'ftp://x'], ['--session', 'a b']]) {
      const refused = new Chat(args)
      expect(await refused.exit).toBe(2)
      expect(refused.err).toMatch(/^parley: /)
    }
  })
})

describe('parley chat in a pipe', () => {
  it('prints the answer and nothing else', async () => {
    const chat = new Chat(['chat'])
    chat.child.stdin.end('/demo count=12 rate=0\n')
    expect(await chat.exit).toBe(0)
    expect(chat.out).toBe(`${counted(12)}\n`)
    expect(chat.err).toBe('')
  })

  it('says that an answer has reached the token limit', async () => {
    const chat = new Chat(['chat'])
    chat.child.stdin.end(`/demo count=${RUN_TOKENS + 1} rate=0\n`)
    expect(await chat.exit).toBe(0)
    expect(chat.out).toBe(`${counted(RUN_TOKENS)}\n`)
    expect(chat.err).toBe('parley: stopped at the limit of 5,000 tokens: the answer is incomplete\n')
  })

  it('exits with 1 if the run fails, and with 2 if the input is empty', async () => {
    const failed = new Chat([])
    failed.child.stdin.end('/demo count=12 rate=0 fail=3')
    expect(await failed.exit).toBe(1)
    expect(failed.out).toBe(`${counted(3)}\n`)
    expect(failed.err).toMatch(/^parley: /)
    const empty = new Chat([])
    empty.child.stdin.end(' \n')
    expect(await empty.exit).toBe(2)
  })

  it('runs a tool without approval, and denies one that needs approval', async () => {
    const chat = new Chat([])
    chat.child.stdin.end('/demo tool=local_time input={} tool=list_folder input={} count=2 rate=0')
    expect(await chat.exit).toBe(0)
    expect(chat.out).toContain('"timeZone"')
    expect(chat.out).not.toContain('"names"')
    expect(chat.err).toContain('denied list_folder')
  })

  it('cancels the answer on an interrupt', async () => {
    const chat = new Chat([])
    chat.child.stdin.end('/demo count=2000 rate=100')
    await chat.says('5 6 7')
    chat.child.kill('SIGINT')
    expect(await chat.exit).toBe(130)
    expect(counted(2000).startsWith(chat.out.trimEnd())).toBe(true)
  })

  it('continues the answer after the server is killed and restarted', async () => {
    const chat = new Chat([])
    chat.child.stdin.end('/demo count=60 rate=30')
    await chat.says('8 9 10')
    await server.kill()
    await server.start()
    expect(await chat.exit).toBe(0)
    expect(chat.out).toBe(`${counted(60)}\n`)
    expect(chat.err).toContain('connection lost')
    expect(chat.err).toContain('reconnected')
  })
})

describe('parley chat with several agents', () => {
  const asked = (message: string): string => `ask=researcher message={${message}}`

  it('shows who speaks, asks for what another agent wants to run, and stops one agent alone', async () => {
    const chat = new Chat(['--lines'])
    chat.type(`@lead /demo ${asked('/demo tool=list_folder input={} count=2 rate=0')} count=3 rate=0`)
    await chat.says('· lead answers\n')
    await chat.says('· researcher wants to run list_folder({}) on this machine. Allow? (y/n)')
    chat.type('n')
    await chat.says('· [researcher] done\n')
    await chat.says('0 1 2')

    chat.type('/agent lead')
    await chat.says('messages go to lead')
    chat.type(`/demo ${asked('/demo count=4000 rate=200')} ${asked('/demo count=2 rate=0')} count=4 rate=0`)
    await chat.says('· [researcher 2] 0 1\n')
    await chat.says('· [researcher] 0 1 2 3')
    chat.type('/stop nobody')
    await chat.says('no such agent. Working: researcher\n')
    chat.type('/stop researcher')
    await chat.says('· [researcher] stopped\n')
    await chat.says('0 1 2 3\n')

    chat.type('/demo handoff=support count=2 rate=0')
    await chat.says('· handing over to support\n')
    await chat.says('0 1\n')
    chat.type('/agent')
    await chat.says('messages go to the default agent. Agents: lead, researcher, support')
    chat.type('/demo count=3 rate=0')
    await chat.says('· support answers\n0 1 2\n')
    chat.child.stdin.end()
    expect(await chat.exit).toBe(0)
  })

  it('sends a message from a pipe to the agent that it names', async () => {
    const chat = new Chat(['chat', '--session', 'named'])
    chat.child.stdin.end('@support /demo count=3 rate=0\n')
    expect(await chat.exit).toBe(0)
    expect(chat.out).toBe('0 1 2\n')
    const client = new ParleyClient({ url: server.url })
    const { messages } = await until(client.session('named'), ({ status }) => status === 'live')
    expect(messages[0]).toMatchObject({ text: '/demo count=3 rate=0', agent: 'support' })
    await client.close()
  })
})

describe('parley chat by lines', () => {
  it('interrupts the answer with a new line, stops it on Ctrl-C, and exits after two more', async () => {
    const chat = new Chat(['--lines', '--session', 'lines'])
    chat.type('/demo count=2000 rate=100')
    await chat.says('5 6 7')
    chat.type('/demo count=9 rate=0')
    await chat.says(counted(9))
    await chat.says('interrupted')
    chat.type('/demo count=2000 rate=100')
    await chat.says('5 6 7 8 9 10')
    chat.child.kill('SIGINT')
    await chat.says('· stopped\n')
    chat.child.kill('SIGINT')
    await chat.says('press Ctrl-C again')
    chat.child.kill('SIGINT')
    expect(await chat.exit).toBe(0)
  })

  it('opens a session with its history, and shows the messages of others', async () => {
    const client = new ParleyClient({ url: server.url })
    const session = client.session('joined')
    await session.send('/demo count=4 rate=0').result()
    const chat = new Chat(['--lines', '--session', 'joined'])
    await chat.says('0 1 2 3\n')
    expect(chat.out).toContain(': /demo count=4 rate=0\n0 1 2 3\n')
    await session.send('/demo count=6 rate=0').result()
    await chat.says('0 1 2 3 4 5\n')
    chat.type('/demo count=8 rate=0')
    await chat.says(counted(8))
    await until(session, (view) => view.messages.length === 3)
    chat.child.stdin.end()
    expect(await chat.exit).toBe(0)
    await client.close()
  })

  it('asks before it runs a tool that needs approval', async () => {
    const chat = new Chat(['--lines'])
    chat.type('/demo tool=list_folder input={} count=2 rate=0')
    await chat.says('Allow? (y/n)')
    chat.type('y')
    await chat.says('"names"')
    await chat.says('0 1\n')
    chat.type('/demo tool=list_folder input={} count=3 rate=0')
    await chat.says('Allow? (y/n)')
    chat.type('n')
    await chat.says('0 1 2')
    expect(chat.out).not.toContain('"names"')
    chat.child.stdin.end()
    expect(await chat.exit).toBe(0)
  })

  it('waits for the answer when its input ends', async () => {
    const chat = new Chat(['--lines'])
    chat.child.stdin.end('/demo count=15 rate=50\n')
    expect(await chat.exit).toBe(0)
    expect(chat.out).toContain(counted(15))
  })
})
