// runLoadTest: starts servers and network, runs the phases one after the other, and stops everything it started.
import { randomBytes } from 'node:crypto'
import { forkChild, stopChild } from './child.ts'
import { type MemoryCost, probeMemory } from './memory-probe.ts'
import type { Options } from './options.ts'
import { type PhaseResult, runPhase, type Second } from './phase.ts'
import type { ProxyCounts } from './proxy/impairing-proxy.ts'
import { isImpaired } from './proxy/impairments.ts'
import type { FromProxy, ProxyJob } from './proxy/main.ts'
import { makeReport, type Report } from './report/report.ts'
import { externalTarget, startTarget, type Target } from './target.ts'

const PROXY_MS = 10_000

/** @throws Error if servers, proxy or generators fail */
export async function runLoadTest(
  options: Options,
  command: string,
  machine: string,
  say: (text: string) => void,
): Promise<Report> {
  const startedAt = new Date().toISOString()
  const memory = await measuredMemory(options, say)
  const target = options.urls.length > 0 ? externalTarget(options.urls) : await startTarget(options.nodes)
  let network: Network | undefined
  try {
    if (isImpaired(options.impairments)) network = await openNetwork(options, target)
    const phases = await driveAll(options, target, network?.urls ?? target.urls, say)
    const { habits, goalMs, utilization, plan, impairments, together } = options
    return makeReport({
      startedAt,
      command,
      machine,
      nodes: target.urls.length,
      impairments,
      proxy: await network?.counts(),
      together,
      phases,
      memory,
      goal: { addedMs: goalMs, utilization },
      plan,
      seed: habits.seed,
      steady: { from: habits.arrivalMs, to: habits.durationMs },
    })
  } finally {
    await network?.close()
    await target.stop()
  }
}

/** Uses a separate server: memory left over from other phases would distort the result. */
async function measuredMemory(options: Options, say: (text: string) => void): Promise<MemoryCost | undefined> {
  if (options.memory === 0 || options.urls.length > 0) return undefined
  say(`Measuring the memory of ${options.memory} sessions …\n`)
  // A small young generation: the fill level of a large one would hide the memory of the sessions.
  const target = await startTarget(1, 1)
  try {
    return await probeMemory(target, options.memory)
  } finally {
    await target.stop()
  }
}

async function driveAll(
  options: Options,
  target: Target,
  urls: readonly string[],
  say: (text: string) => void,
): Promise<PhaseResult[]> {
  const phases: PhaseResult[] = []
  const name = `load-${randomBytes(4).toString('hex')}`
  const { doors, together, steps, habits, token, silenceMs, drainMs, model } = options
  for (const users of steps) {
    for (const driven of together ? [doors] : doors.map((door) => [door])) {
      const title = `${driven.join('+')}, ${users} users`
      const job = {
        parts: Math.min(options.generators, users),
        habits: { ...habits, users },
        doors: driven,
        urls,
        name: `${name}-${phases.length}`,
        model,
        text: model === undefined || model === 'demo' ? 'demo' : 'other',
        token,
        silenceMs,
        drainMs,
      } as const
      phases.push(await runPhase(job, target, progressOf(title, say)))
      say('\n')
    }
  }
  return phases
}

/** In a terminal, one line that is overwritten; elsewhere a line every ten seconds. */
function progressOf(title: string, say: (text: string) => void): (second: Second) => void {
  let asked = 0
  let ended = 0
  let lost = 0
  let faults = 0
  let seconds = 0
  return (second) => {
    asked += second.asked
    ended += second.ended
    lost += second.interruptions
    faults += second.faults
    seconds += 1
    const cores = second.cores === undefined ? '' : `  ${second.cores.toFixed(2)} cores`
    const line = `${title}  ${second.at.toFixed(0)} s  ${second.outputs} tokens/s  ${second.active} active  ${ended} of ${asked} answered  ${lost} connections lost  ${faults} faults${cores}`
    if (process.stdout.isTTY) say(`\r\u001b[K${line}`)
    else if (seconds % 10 === 0) say(`${line}\n`)
  }
}

interface Network {
  readonly urls: readonly string[]
  counts(): Promise<ProxyCounts>
  close(): Promise<void>
}

async function openNetwork({ impairments, habits }: Options, target: Target): Promise<Network> {
  const child = forkChild('proxy/main.js')
  const next = <T extends FromProxy['type']>(type: T): Promise<Extract<FromProxy, { type: T }>> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`The proxy did not answer within ${PROXY_MS / 1000} s.`)),
        PROXY_MS,
      )
      child.once('message', (message: FromProxy) => {
        clearTimeout(timer)
        if (message.type === type) resolve(message as Extract<FromProxy, { type: T }>)
        else reject(new Error(`The proxy sent ${message.type} instead of ${type}.`))
      })
    })
  const ready = next('ready')
  child.send({ targets: target.urls, impairments, seed: habits.seed } satisfies ProxyJob)
  try {
    const { urls } = await ready
    return {
      urls,
      counts: async () => {
        const answer = next('counts')
        child.send('counts')
        const total: ProxyCounts = { connections: 0, cuts: 0, stalls: 0, blackholes: 0 }
        for (const one of (await answer).counts) {
          for (const key of Object.keys(total) as (keyof ProxyCounts)[]) total[key] += one[key]
        }
        return total
      },
      close: () => stopChild(child, 1_000),
    }
  } catch (error) {
    await stopChild(child, 1_000)
    throw error
  }
}
