// Drivers of polling: pages of a session's events, and jobs, each with long and with short polls.

import { setTimeout as sleep } from 'node:timers/promises'
import type { EventsPage, Job } from '@parley/protocol'
import { sendAsync } from './stream-transports.ts'
import { accepted, asItems, type MessageRequest, Reading, type TransportDriver } from './transport-driver.ts'

type PollKind = 'short' | 'long'

/** Milliseconds between short polls. Tests do not wait for Retry-After. */
const BETWEEN_MS = 5
const WAIT_S = 20

export function eventsPollTransport(kind: PollKind): TransportDriver {
  return {
    name: `${kind} poll`,
    finds: 'run',
    async begin(node, message) {
      const { run } = await sendAsync(node, message)
      return { message, reading: await this.resume(node, message, run, undefined) }
    },
    async resume(node, message, _run, from) {
      return new Reading(async function* (signal) {
        for (let after = from; ; ) {
          const page: EventsPage = await poll(
            kind,
            signal,
            `${node}/v1/sessions/${message.session}/events`,
            'after',
            after,
          )
          if (page.reset === true) yield { kind: 'reset' }
          yield* asItems(page.entries)
          after = page.cursor
          if (page.live && kind === 'short') await sleep(BETWEEN_MS)
        }
      })
    },
  }
}

export function jobTransport(kind: PollKind): TransportDriver {
  return {
    name: `${kind} poll of a job`,
    finds: 'run',
    async begin(node, message) {
      const { session, id: key, content } = message
      const response = await fetch(`${node}/jobs`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: JSON.stringify({ session, content }),
      })
      const { id } = (await (await accepted(response)).json()) as { readonly id: string }
      return { message, reading: readJob(node, kind, id, undefined) }
    },
    async resume(node, message, run, after) {
      return readJob(node, kind, jobId(message, run), after)
    },
    async cancel(node, session, run) {
      await accepted(await fetch(`${node}/jobs/${jobId({ session }, run)}`, { method: 'DELETE' }))
    },
  }
}

function jobId({ session }: Pick<MessageRequest, 'session'>, run: string): string {
  return `${run}-${session}`
}

function readJob(node: string, kind: PollKind, id: string, from: string | undefined): Reading {
  return new Reading(async function* (signal) {
    for (let since = from; ; ) {
      // The first poll is short: a long poll without `since` waits for the end of the job.
      const job: Job = await poll(since === undefined ? 'short' : kind, signal, `${node}/jobs/${id}`, 'since', since)
      if (job.reset === true) yield { kind: 'reset' }
      const hasEnded = job.result !== undefined && job.live
      yield* asItems(job.entries, hasEnded ? job.result : undefined)
      if (hasEnded) return
      since = job.cursor
      if (job.live && kind === 'short') await sleep(BETWEEN_MS)
    }
  })
}

async function poll<T>(
  kind: PollKind,
  signal: AbortSignal,
  url: string,
  name: string,
  after: string | undefined,
): Promise<T> {
  const query = new URLSearchParams(after === undefined ? {} : { [name]: after })
  if (kind === 'long') query.set('wait', String(WAIT_S))
  return (await (await accepted(await fetch(`${url}?${query}`, { signal }))).json()) as T
}
