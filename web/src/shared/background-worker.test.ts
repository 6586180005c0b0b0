// Work in a worker: replies, failures, a deadline, and a script that does not load.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BackgroundWorker, DEADLINE } from './background-worker.ts'

interface Message {
  readonly id: number
  readonly message: string
}

/** A worker that replies when the test says so. */
class FakeWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | undefined
  onerror: (() => void) | undefined
  readonly received: Message[] = []
  terminated = false

  postMessage(message: Message): void {
    this.received.push(message)
  }

  terminate(): void {
    this.terminated = true
  }

  say(data: unknown): void {
    this.onmessage?.({ data })
  }
}

function setUp() {
  const workers: FakeWorker[] = []
  const background = new BackgroundWorker<string, string>(() => {
    const worker = new FakeWorker()
    workers.push(worker)
    return worker as unknown as Worker
  })
  const done: [string, string | undefined][] = []
  const run = (request: string): void => background.run(request, (reply) => done.push([request, reply]))
  return { workers, run, done }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe('a background worker', () => {
  it('starts with the first job, and answers each', () => {
    const { workers, run, done } = setUp()
    expect(workers).toEqual([])
    run('a')
    run('b')
    expect(workers.length).toBe(1)
    const [worker] = workers
    worker?.say('ready')
    worker?.say({ id: 1, message: 'A' })
    worker?.say({ id: 2, message: undefined })
    expect(done).toEqual([
      ['a', 'A'],
      ['b', undefined],
    ])
    vi.advanceTimersByTime(2 * DEADLINE)
    expect(worker?.terminated).toBe(false)
  })

  it('is replaced if a job takes too long, and does the others', () => {
    const { workers, run, done } = setUp()
    run('slow')
    run('b')
    // The script may take long to load.
    vi.advanceTimersByTime(2 * DEADLINE)
    expect(done).toEqual([])
    workers[0]?.say('ready')
    vi.advanceTimersByTime(DEADLINE)
    expect(done).toEqual([['slow', undefined]])
    expect(workers[0]?.terminated).toBe(true)
    expect(workers[1]?.received).toEqual([{ id: 2, message: 'b' }])
    workers[1]?.say('ready')
    workers[1]?.say({ id: 2, message: 'B' })
    expect(done).toEqual([
      ['slow', undefined],
      ['b', 'B'],
    ])
  })

  it('gives a job its whole time after a slow one', () => {
    const { workers, run, done } = setUp()
    run('a')
    run('b')
    workers[0]?.say('ready')
    vi.advanceTimersByTime(DEADLINE - 1)
    workers[0]?.say({ id: 1, message: 'A' })
    vi.advanceTimersByTime(DEADLINE - 1)
    workers[0]?.say({ id: 2, message: 'B' })
    expect(done.map(([, reply]) => reply)).toEqual(['A', 'B'])
  })

  it('fails its jobs if the script does not load, and tries again with the next one', () => {
    const { workers, run, done } = setUp()
    run('a')
    workers[0]?.onerror?.()
    expect(done).toEqual([['a', undefined]])
    run('b')
    workers[1]?.say('ready')
    workers[1]?.say({ id: 2, message: 'B' })
    expect(done[1]).toEqual(['b', 'B'])
  })
})
