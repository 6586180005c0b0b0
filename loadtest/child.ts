// Child processes of the load test. None outlives it.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** @param script relative to this file, after the build */
export function forkChild(script: string): ChildProcess {
  return track(fork(fileURLToPath(new URL(script, import.meta.url)), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }))
}

export function spawnNode(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  return track(spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] }))
}

/** Sends SIGTERM, and SIGKILL after the time limit. */
export async function stopChild(child: ChildProcess, withinMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await gone
  clearTimeout(timer)
}

function track(child: ChildProcess): ChildProcess {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}
