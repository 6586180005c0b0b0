// A load generator process. It receives its job by message, simulates its users from the common start time, and sends
// progress twice a second and all records at the end.
import { setMaxListeners } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { SessionSnapshot } from '@parley/protocol'
import type { TransportName } from './drivers/driver.ts'
import { ByteMeter } from './drivers/driver.ts'
import { HttpCaller } from './drivers/http-caller.ts'
import { openDriver } from './drivers/open-driver.ts'
import type { AskRecord, FromGenerator, GeneratorJob } from './generator-message.ts'
import { planUser } from './plan.ts'
import { play } from './player.ts'
import { quantile } from './quantile.ts'
import { randomOf } from './random.ts'

/** Records per message: a larger one would block the event loops of both processes. */
const BATCH = 2_000

process.once('message', (job: GeneratorJob) => {
  generate(job).then(
    () => process.disconnect(),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(1)
    },
  )
})

async function generate(job: GeneratorJob): Promise<void> {
  const origin = job.startAt - performance.timeOrigin
  const now = () => performance.now() - origin
  const over = new AbortController()
  // Every user and every answer adds a listener.
  setMaxListeners(0, over.signal)
  const counts = { outputs: 0, asked: 0, ended: 0, interruptions: 0, faults: 0 }
  let active = 0
  const meters = new Map<TransportName, ByteMeter>(job.doors.map((door) => [door, new ByteMeter()]))
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  const cpuBefore = process.cpuUsage()
  const began = performance.now()

  const users = []
  const played: Promise<void>[] = []
  const records: AskRecord[] = []
  for (let user = job.part; user < job.habits.users; user += job.parts) {
    const door = job.doors[user % job.doors.length] as TransportName
    const url = job.urls[Math.floor(user / job.doors.length) % job.urls.length] as string
    const session = `${job.name}-${door}-${user}`
    const random = randomOf(job.habits.seed, 'door', user)
    const meter = meters.get(door) as ByteMeter
    const { model, token, silenceMs } = job
    const context = { url, session, model, token, silenceMs, meter, random }
    const driver = openDriver(door, context)
    users.push(driver)
    const playContext = {
      door,
      user: driver,
      name: session,
      model: job.text,
      now,
      over: over.signal,
      transcript: (message: string) => transcript(new HttpCaller(context), session, message),
      on: (event: 'asked' | 'ended' | 'interrupted') => {
        if (event === 'interrupted') counts.interruptions += 1
        else counts[event] += 1
        if (event === 'asked') active += 1
        if (event === 'ended') active -= 1
      },
      outputs: (count: number) => {
        counts.outputs += count
      },
    }
    const done = play(planUser(job.habits, user), playContext).then((some) => {
      records.push(...some)
      for (const { faults } of some) counts.faults += faults.lost + faults.repeated + faults.reordered + faults.wrong
    })
    played.push(done)
  }
  const reporting = setInterval(() => {
    send({ type: 'progress', progress: { ...counts, active } })
    counts.outputs = counts.asked = counts.ended = counts.interruptions = counts.faults = 0
  }, 500)
  const end = setTimeout(() => over.abort(), job.habits.durationMs + job.drainMs - now())
  await Promise.all(played)
  clearInterval(reporting)
  clearTimeout(end)
  send({ type: 'progress', progress: { ...counts, active } })

  const cpu = process.cpuUsage(cpuBefore)
  const wall = performance.now() - began
  const bytes = Object.fromEntries([...meters].map(([door, meter]) => [door, meter.total]))
  for (const user of users) user.close()
  const lateness = quantile(records.map(({ late }) => late).sort(ascending), 0.99) ?? 0
  const health = { loopDelay: delay.percentile(99) / 1e6, lateness, cpu: (cpu.user + cpu.system) / 1000 / wall }
  for (let at = 0; at < records.length; at += BATCH) send({ type: 'records', records: records.slice(at, at + BATCH) })
  await new Promise<void>((resolve) =>
    process.send?.({ type: 'done', bytes, health } satisfies FromGenerator, () => resolve()),
  )
}

function send(message: FromGenerator): void {
  process.send?.(message)
}

async function transcript(caller: HttpCaller, session: string, message: string): Promise<string | undefined> {
  const answer = await caller.call(`/v1/sessions/${session}`)
  caller.close()
  if (answer.status !== 200) return undefined
  const { messages } = answer.body as SessionSnapshot
  const found = messages.find((one) => one.role === 'assistant' && one.message === message)
  return found?.role === 'assistant' ? found.text : undefined
}

function ascending(a: number, b: number): number {
  return a - b
}
