// HttpSink: the part of a reader's sink that all HTTP answers share. Its stream decides about backpressure. Broadcasts are
// for WebSockets only.
import { Semaphore } from '../../limit/semaphore.ts'
import type { HttpStream } from '../http/http-stream.ts'

export abstract class HttpSink {
  readonly replays = new Semaphore(1)
  stream: HttpStream | undefined

  get full(): boolean {
    return this.stream?.full === true
  }

  get unsentBytes(): number {
    return this.stream?.unsentBytes ?? 0
  }

  acceptsBroadcast(): boolean {
    return false
  }

  subscribe(): void {
    // Without broadcasts there is nothing to subscribe to.
  }

  unsubscribe(): void {
    // See subscribe.
  }

  whenWritable(): Promise<boolean> {
    return this.stream?.whenWritable() ?? Promise.resolve(true)
  }
}
