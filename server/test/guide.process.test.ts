// The guide to the doors: what it shows in the shell is run here word by word, but for the port, and does what it says.
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
/** What was printed, by the heading that it stands under. */
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

/** What was printed under a heading, as JSON texts that stand one after the other. */
function values(heading: string): readonly unknown[] {
  return (printed.get(heading) ?? '')
    .replace(/\}(?=\{)/g, '}\n')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

const EVENTS = /^event: ([a-z.]+)$/gm

describe('the guide to the doors', () => {
  it('links to files that are there', () => {
    const links = [...readFileSync(GUIDE, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !existsSync(new URL(link, GUIDE)))).toEqual([])
  })

  it('asks, and gets the answer', () => {
    const [result] = values('Ask, and get the answer')
    expect(RunResult.parse(result)).toMatchObject({ state: 'completed', text: demoCount(20) })
  })

  it('watches it come', () => {
    const types = [...(printed.get('Watch it come') ?? '').matchAll(EVENTS)].map(([, type]) => type)
    expect([types[0], types[1], types.at(-1)]).toEqual(['message', 'run.started', 'run.ended'])
    expect(types.filter((type) => type === 'run.output').length).toBeGreaterThan(1)
  })

  it('goes on after a lost connection', () => {
    const rest = printed.get('Lose the connection, and go on') ?? ''
    // From the middle to the end.
    expect(rest).not.toContain('event: message')
    // Tokens that came together are one output.
    expect(rest).toMatch(/"text":"[^"]* 99"/)
    expect(rest.trim().split('\n').at(-2)).toBe('event: run.ended')
  })

  it('hands it over to another door', () => {
    const lines = values('Hand it over to another door') as {
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

  it('leaves a job, and comes back', () => {
    const [first, last] = values('Leave a job, and come back').map((job) => Job.parse(job))
    expect(['queued', 'running']).toContain(first?.state)
    expect(last?.result).toMatchObject({ state: 'completed', text: demoCount(50) })
  })

  it('stops', () => {
    const [answer, job] = values('Stop')
    expect(answer).toMatchObject({ session: 'plans' })
    expect(Job.parse(job).state).toBe('cancelled')
  })
})
