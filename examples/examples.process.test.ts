// Tests that every example runs, passes its assertions, and exits.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ServerProcess } from '../bench/cluster/server-process.ts'

const HELPERS = ['server.ts', 'flaky-network.ts']
/** It needs packages of Python: `npm run test:clients` runs it. */
const REMOTE = 'remote-agent.ts'
const folder = fileURLToPath(new URL('.', import.meta.url))
const examples = readdirSync(folder).filter(
  (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && ![...HELPERS, REMOTE].includes(name),
)

async function run(program: string, env: object = {}): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [program], { env: { PATH: process.env.PATH, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString()
    })
  }
  const [code] = await once(child, 'close')
  return { code, output }
}

describe('examples', () => {
  it('exist for the main features', () => {
    expect(examples.length).toBeGreaterThanOrEqual(6)
  })

  it.each(examples)('%s does what it says', async (name) => {
    const { code, output } = await run(`${folder}dist/${name.replace(/\.ts$/, '.js')}`)
    expect(code, output).toBe(0)
  })

  it('say what to install if the packages of an agent are missing', async () => {
    const { code, output } = await run(`${folder}dist/${REMOTE.replace(/\.ts$/, '.js')}`, { PYTHON: 'no-python' })
    expect(code).toBe(1)
    expect(output).toContain('pip install -r examples/python/requirements-agent.txt')
  })

  it('include the program in the README', async () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    const [, source = ''] = /```js\n(import .*?)```/s.exec(readme) ?? []
    const server = await ServerProcess.start()
    try {
      const program = `${folder}dist/readme.mjs`
      writeFileSync(program, source.replace('http://127.0.0.1:8080', `http://127.0.0.1:${server.port}`))
      const { code, output } = await run(program)
      expect(code, output).toBe(0)
      expect(output).toContain('demo model')
    } finally {
      await server.dispose()
    }
  })
})
