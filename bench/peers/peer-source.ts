// The outputs that every peer publishes, with the same rate and bytes as Parley, and the message loop of peer
// processes.
import { nowMicros } from '../harness/bench-clock.ts'
import type { FromServer, Load, ToServer } from '../harness/bench-message.ts'
import { usageOf } from '../harness/usage.ts'

/** The same bytes as Parley's frame. */
export function outputOf(topic: number, index: number): string {
  const text = ` ${String(nowMicros()).padStart(16, '0')}`
  return `{"type":"entry","session":"bench_${topic}","cursor":"NywGOEU489gj.${index}","time":${Date.now()},"event":{"type":"run.output","run":"run_01m827h681000pdsw8zad90fx","index":${index},"kind":"text","text":"${text}"}}`
}

/**
 * Publishes evenly over all topics: each tick publishes the outputs that became due. Each topic gets the same number.
 */
function publishAll(load: Load, publish: (topic: number, index: number) => void): void {
  const { topics, rate, seconds } = load
  const total = Math.ceil(rate * seconds) * topics
  const begin = performance.now()
  let published = 0
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(((performance.now() - begin) / 1_000) * rate * topics))
    for (; published < due; published += 1) publish(published % topics, Math.floor(published / topics))
    if (published === total) clearInterval(timer)
  }, 1)
}

/** Answers the benchmark's messages for a peer that listens on this port. */
export function servePeer(port: number, publish: (topic: number, index: number) => void): void {
  const send = (message: FromServer): void => {
    process.send?.(message)
  }
  process.on('message', (message: ToServer) => {
    if (message.ask === 'usage') void usageOf(message).then(send)
    else if (message.ask === 'publish') publishAll(message.load, publish)
    else process.exit(0)
  })
  send({ port })
}
