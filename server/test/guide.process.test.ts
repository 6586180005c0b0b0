// The guide to the transports: its shell commands are run unchanged, except for the port, and do what the guide says.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventsPage, Job, JobAccepted, RunResult } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount } from './strict-client.ts'

const GUIDE = new URL('../../docs/choosing-a-transport.md', import.meta.url)
const BETWEEN = '\u0001'

let server: ServerProcess
let folder: string
/** Heading → the output of the commands below it. */
const printed = new Map<string, string>()

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-guide-'))
  server = await ServerProcess.start()
  const blocks = shellBlocks(readFileSync(GUIDE, 'utf8'))
  const script = blocks.map(({ commands }) => commands).join(`\nprintf '${BETWEEN}'\n`)
  const { output, code } = await bash(script.replace('http://127.0.0.1:8080', `http://127.0.0.1:${server.port}`))
  expect(code).toBe(0)
  const outputs = output.split(BETWEEN)
  for (const [at, { heading }] of blocks.entries()) printed.set(heading, outputs[at] ?? '')
}, 60_000)
afterAll(async () => {
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function shellBlocks(text: string): readonly { readonly heading: string; readonly commands: string }[] {
  const blocks = new Map<string, string>()
  let heading = ''
  for (const [, title, commands = ''] of text.matchAll(/^##+ (.+)$|^```sh\n([\s\S]*?)^```/gm)) {
    if (title === undefined) blocks.set(heading, (blocks.get(heading) ?? '') + commands)
    else heading = title
  }
  return [...blocks].map(([heading, commands]) => ({ heading, commands }))
}

function bash(script: string): Promise<{ readonly output: string; readonly code: number | null }> {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-eu', '-c', script], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part
    })
    child.once('close', (code) => resolve({ output, code }))
  })
}

/** The consecutive JSON values that the commands below a heading have printed. */
function values(heading: string): readonly unknown[] {
  return (printed.get(heading) ?? '')
    .replace(/\}(?=\{)/g, '}\n')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

const EVENTS = /^event: ([a-z.]+)$/gm

describe('the guide to the transports', () => {
  it('links to existing files', () => {
    const links = [...readFileSync(GUIDE, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !existsSync(new URL(link, GUIDE)))).toEqual([])
  })

  it('gets a complete answer', () => {
    const [result] = values('Get the complete answer')
    expect(RunResult.parse(result)).toMatchObject({ state: 'completed', text: demoCount(20) })
  })

  it('streams an answer', () => {
    const types = [...(printed.get('Stream the answer') ?? '').matchAll(EVENTS)].map(([, type]) => type)
    expect([types[0], types[1], types.at(-1)]).toEqual(['message', 'run.started', 'run.ended'])
    expect(types.filter((type) => type === 'run.output').length).toBeGreaterThan(1)
  })

  it('resumes after a lost connection', () => {
    const rest = printed.get('Resume after a lost connection') ?? ''
    // Only the second part of the answer.
    expect(rest).not.toContain('event: message')
    // Several tokens may be merged into one output.
    expect(rest).toMatch(/"text":"[^"]* 99"/)
    expect(rest.trim().split('\n').at(-3)).toBe('event: run.ended')
  })

  it('continues over another transport', () => {
    const lines = values('Continue over another transport') as {
      readonly type: string
      readonly event: { readonly type: string }
    }[]
    expect(lines.every(({ type }) => type === 'entry')).toBe(true)
    expect(lines.at(-1)?.event.type).toBe('run.ended')
  })

  it('polls a session', () => {
    const [accepted, page] = values('Poll a session')
    const { run } = JobAccepted.parse(accepted)
    expect(EventsPage.parse(page).entries[0]?.event).toMatchObject({ type: 'message', run })
  })

  it('polls a job', () => {
    const [first, last] = values('Start a job and poll it').map((job) => Job.parse(job))
    expect(['queued', 'running']).toContain(first?.state)
    expect(last?.result).toMatchObject({ state: 'completed', text: demoCount(50) })
  })

  it('cancels a job', () => {
    const [answer, job] = values('Cancel')
    expect(answer).toMatchObject({ session: 'plans' })
    expect(Job.parse(job).state).toBe('cancelled')
  })
})
