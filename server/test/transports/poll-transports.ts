// Polls as doors of the contract: pages of a session's events, and jobs; each waited for on the line, or asked again.
import type { EventsPage, Job } from '@parley/protocol'
import { pause } from '../strict-client.ts'
import { sendAsync } from './stream-transports.ts'
import { type Ask, accepted, asItems, type Door, Reading } from './transport.ts'

type Way = 'short' | 'long'

/** Milliseconds: a test has not the patience that Retry-After asks for. */
const BETWEEN_MS = 5
const WAIT_S = 20

export function eventsPollTransport(way: Way): Door {
  return {
    name: `${way} poll`,
    finds: 'run',
    async begin(node, ask) {
      const { run } = await sendAsync(node, ask)
      return { ask, reading: await this.resume(node, ask, run, undefined) }
    },
    async resume(node, ask, _run, from) {
      return new Reading(async function* (signal) {
        for (let after = from; ; ) {
          const page: EventsPage = await poll(way, signal, `${node}/v1/sessions/${ask.session}/events`, 'after', after)
          if (page.reset === true) yield { kind: 'reset' }
          yield* asItems(page.entries)
          after = page.cursor
          if (page.live && way === 'short') await pause(BETWEEN_MS)
        }
      })
    },
  }
}

export function jobTransport(way: Way): Door {
  return {
    name: `${way} poll of a job`,
    finds: 'run',
    async begin(node, ask) {
      const { session, id: key, content } = ask
      const response = await fetch(`${node}/jobs`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: JSON.stringify({ session, content }),
      })
      const { id } = (await (await accepted(response)).json()) as { readonly id: string }
      return { ask, reading: readJob(node, way, id, undefined) }
    },
    async resume(node, ask, run, after) {
      return readJob(node, way, jobId(ask, run), after)
    },
    async cancel(node, session, run) {
      await accepted(await fetch(`${node}/jobs/${jobId({ session }, run)}`, { method: 'DELETE' }))
    },
  }
}

function jobId({ session }: Pick<Ask, 'session'>, run: string): string {
  return `${run}-${session}`
}

function readJob(node: string, way: Way, id: string, from: string | undefined): Reading {
  return new Reading(async function* (signal) {
    for (let since = from; ; ) {
      // Who holds nothing yet looks first: asked to wait without `since`, a job answers with its end.
      const job: Job = await poll(since === undefined ? 'short' : way, signal, `${node}/jobs/${id}`, 'since', since)
      if (job.reset === true) yield { kind: 'reset' }
      const isOver = job.result !== undefined && job.live
      yield* asItems(job.entries, isOver ? job.result : undefined)
      if (isOver) return
      since = job.cursor
      if (job.live && way === 'short') await pause(BETWEEN_MS)
    }
  })
}

async function poll<T>(
  way: Way,
  signal: AbortSignal,
  url: string,
  name: string,
  after: string | undefined,
): Promise<T> {
  const query = new URLSearchParams(after === undefined ? {} : { [name]: after })
  if (way === 'long') query.set('wait', String(WAIT_S))
  return (await (await accepted(await fetch(`${url}?${query}`, { signal }))).json()) as T
}
