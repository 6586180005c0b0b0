// The programs of examples/python against a real server. They check what they receive.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { prepare } from './toolchains.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples/python', import.meta.url))
const PYTHON = fileURLToPath(new URL('python', import.meta.url))

let server: ServerProcess
let python: string
beforeAll(async () => {
  python = join(prepare('python'), 'venv/bin/python')
  server = await ServerProcess.start()
})
afterAll(() => server?.dispose())

it.each([
  ['chat_ws.py', 'json', 4],
  ['chat_ws.py', 'msgpack', 4],
  ['chat_http.py', '', 2],
])('%s %s does what it says', async (program, codec, lines) => {
  const child = spawn(python, [program, ...(codec === '' ? [] : [codec])], {
    cwd: EXAMPLES,
    env: { PATH: process.env.PATH, PARLEY_URL: `http://127.0.0.1:${server.port}`, PYTHONDONTWRITEBYTECODE: '1' },
  })
  onTestFinished(() => void child.kill())
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => {
    output += String(data)
  })
  child.stderr.on('data', (data) => {
    errors += String(data)
  })
  const [code] = await once(child, 'close')
  expect(code, errors).toBe(0)
  expect(output.trim().split('\n')).toHaveLength(lines)
})

it('uses the versions that the clients are tested with', () => {
  const tested = readFileSync(join(PYTHON, 'requirements.txt'), 'utf8').split('\n')
  const used = ['requirements.txt', 'requirements-agent.txt'].flatMap((name) =>
    readFileSync(join(EXAMPLES, name), 'utf8').trim().split('\n'),
  )
  expect(used.filter((line) => !tested.includes(line))).toEqual([])
})
