// npm run cluster: it prints a line for each process and for each death, and leaves no process behind.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../scripts/cluster.mjs', import.meta.url))
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

function start(...options: readonly string[]) {
  const child = spawn(process.execPath, [SCRIPT, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  stops.push(() => child.kill('SIGKILL'))
  const lines: string[] = []
  const waiting: { readonly pattern: RegExp; readonly resolve: (line: string) => void }[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve(line)
    })
  }
  /** The first matching line, past or future. */
  const line = async (pattern: RegExp): Promise<string> =>
    lines.find((one) => pattern.test(one)) ?? new Promise((resolve) => waiting.push({ pattern, resolve }))
  return { child, line }
}

const pidOf = (line: string): number => Number(/pid (\d+)/.exec(line)?.[1])

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('npm run cluster', () => {
  it('prints each process and each death, and leaves no process behind', async () => {
    const { child, line } = start('--nodes', '2', '--port', '0', '--roles', 'gateway')
    const rows = await Promise.all([
      line(/^n1 +nats:\S+ +nats +pid \d+ +running$/),
      line(/^node1 +http:\S+ +gateway +pid \d+ +listening$/),
      line(/^node2 +http:\S+ +all +pid \d+ +listening$/),
    ])
    const pids = rows.map(pidOf)
    expect(pids.every(isAlive)).toBe(true)
    const health = await fetch(`${/http:\S+/.exec(rows[1] ?? '')?.[0]}/healthz`)
    expect(health.status).toBe(200)
    await line(/^Run kill -9 with a node's pid/)
    process.kill(pids[2] ?? 0, 'SIGKILL')
    await line(/node2 +http:\S+ +all +pid \d+ +died$/)
    const exited = once(child, 'exit')
    child.kill('SIGINT')
    expect(await exited).toEqual([0, null])
    expect(pids.filter(isAlive)).toEqual([])
  }, 40_000)

  it.each([
    [['--nats', '2'], /--nats must be 1 or 3/],
    [['--nodes', '0'], /--nodes must be 1 to 9/],
    [['--port', 'x'], /--port must be a port/],
    [['--color'], /--color/],
  ])('refuses %s with a message and exit code 2', async (options, message) => {
    const { child, line } = start(...options)
    const exited = once(child, 'exit')
    expect(await line(message)).toMatch(/See --help/)
    expect(await exited).toEqual([2, null])
  })
})
