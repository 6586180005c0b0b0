// Every example runs, asserts what it shows, and ends by itself.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const HELPERS = ['server.ts', 'flaky-network.ts']
const folder = fileURLToPath(new URL('.', import.meta.url))
const examples = readdirSync(folder).filter(
  (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !HELPERS.includes(name),
)

describe('examples', () => {
  it('are all found', () => {
    expect(examples.length).toBeGreaterThanOrEqual(6)
  })

  it.each(examples)('%s shows what it says', async (name) => {
    const program = `${folder}dist/${name.replace(/\.ts$/, '.js')}`
    const child = spawn(process.execPath, [program], { env: { PATH: process.env.PATH } })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        said += data.toString()
      })
    }
    const [code] = await once(child, 'close')
    expect(code, said).toBe(0)
  })
})
