// The contract that every store's RunQueue passes.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Delivery, QueuedRun, RunQueue } from '../ports/run-queue.ts'

export interface RunQueueHarness {
  readonly runs: RunQueue
  reopen(): Promise<void>
  crash(): Promise<void>
  close(): Promise<void>
}

const queued = (i: number): QueuedRun => ({ session: `s${i}`, run: `r${i}`, command: `c${i}` })

/** Collects deliveries; a test can wait for a number of them. */
class Inbox {
  readonly deliveries: Delivery[] = []
  readonly #waiters: { readonly count: number; resolve(): void }[] = []

  put(delivery: Delivery): void {
    this.deliveries.push(delivery)
    for (const { count, resolve } of this.#waiters) if (this.deliveries.length >= count) resolve()
  }

  async atLeast(count: number): Promise<readonly Delivery[]> {
    if (this.deliveries.length < count) {
      await new Promise<void>((resolve) => {
        this.#waiters.push({ count, resolve })
      })
    }
    return this.deliveries
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new Error('handed over'))
    signal.addEventListener('abort', () => reject(new Error('handed over')))
  })
}

export function runQueueContract(name: string, open: () => Promise<RunQueueHarness>): void {
  describe(`${name} as a run queue`, () => {
    let harness: RunQueueHarness
    let inbox: Inbox

    beforeEach(async () => {
      harness = await open()
      inbox = new Inbox()
    })
    afterEach(async () => {
      await harness.close()
    })

    it('delivers every run to one handler, the oldest first, as attempt 1', async () => {
      for (const i of [1, 2, 3]) await harness.runs.offer(queued(i))
      await harness.runs.take(async (delivery) => inbox.put(delivery), { concurrency: 1 })
      await harness.runs.offer({ ...queued(4), credentials: 'sealed' })
      const expected = [1, 2, 3, 4].map((i) => ({ ...queued(i), attempt: 1 }))
      expect(await inbox.atLeast(4)).toEqual([...expected.slice(0, 3), { ...expected[3], credentials: 'sealed' }])
    })

    it('queues a run once, no matter how often it is offered', async () => {
      await Promise.all([harness.runs.offer(queued(1)), harness.runs.offer(queued(1))])
      await harness.runs.offer(queued(1))
      await harness.runs.take(
        async (delivery, signal) => {
          inbox.put(delivery)
          if (delivery.run === 'r1') await untilAborted(signal)
        },
        { concurrency: 5 },
      )
      await inbox.atLeast(1)
      await harness.runs.offer(queued(1))
      await harness.runs.offer(queued(2))
      expect((await inbox.atLeast(2)).map(({ run }) => run)).toEqual(['r1', 'r2'])
    })

    it('runs no more handlers at once than the limit allows', async () => {
      let active = 0
      let most = 0
      const gates: (() => void)[] = []
      await harness.runs.take(
        async (delivery) => {
          most = Math.max(most, ++active)
          inbox.put(delivery)
          await new Promise<void>((resolve) => gates.push(resolve))
          active--
        },
        { concurrency: 2 },
      )
      for (let i = 0; i < 6; i++) await harness.runs.offer(queued(i))
      for (let count = 2; count <= 6; count++) {
        await inbox.atLeast(count)
        gates.shift()?.()
      }
      for (const open of gates) open()
      expect(most).toBe(2)
    })

    it('lets idle handlers make room for others, up to ten times the limit', async () => {
      const gates = new Map<string, () => void>()
      await harness.runs.take(
        async (delivery, _, idle) => {
          const opened = new Promise<void>((resolve) => gates.set(delivery.run, resolve))
          inbox.put(delivery)
          await (delivery.run === 'r12' ? opened : idle(opened))
        },
        { concurrency: 1 },
      )
      for (let i = 1; i <= 13; i++) await harness.runs.offer(queued(i))
      expect((await inbox.atLeast(10)).map(({ run }) => run)).toHaveLength(10)
      for (let i = 1; i <= 10; i++) {
        const { run } = (await inbox.atLeast(i))[i - 1] as Delivery
        gates.get(run)?.()
      }
      const all = (await inbox.atLeast(12)).map(({ run }) => run)
      expect(all).toEqual(Array.from({ length: 12 }, (_, i) => `r${i + 1}`))
      gates.get('r11')?.()
      gates.get('r12')?.()
      expect((await inbox.atLeast(13)).at(-1)?.run).toBe('r13')
      gates.get('r13')?.()
    })

    it('has room for the runs for which handlers wait, however many wait', async () => {
      // Ten handlers of one waited for runs that no handler could take.
      const answered = new Map<string, () => void>()
      await harness.runs.take(
        async (delivery, _, idle) => {
          const { run } = delivery
          if (Number(run.slice(1)) > 100) answered.get(`r${Number(run.slice(1)) - 100}`)?.()
          else await idle(new Promise<void>((resolve) => answered.set(run, resolve)), true)
          inbox.put(delivery)
        },
        { concurrency: 1 },
      )
      for (let i = 1; i <= 12; i++) await harness.runs.offer(queued(i))
      for (let i = 1; i <= 12; i++) await harness.runs.offer(queued(100 + i))
      expect(new Set((await inbox.atLeast(24)).map(({ run }) => run)).size).toBe(24)
    })

    it('delivers a run again, with a higher attempt, when its handler rejects', async () => {
      await harness.runs.take(
        async (delivery) => {
          inbox.put(delivery)
          if (delivery.attempt < 3) throw new Error('not this time')
        },
        { concurrency: 1, retryDelayMs: 1 },
      )
      await harness.runs.offer(queued(1))
      expect((await inbox.atLeast(3)).map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    })

    it('aborts handlers when the subscription is closed, and delivers the run to another subscription', async () => {
      const subscription = await harness.runs.take(
        async (delivery, signal) => {
          inbox.put(delivery)
          await untilAborted(signal)
        },
        { concurrency: 1, retryDelayMs: 3_600_000 },
      )
      await harness.runs.offer(queued(1))
      await inbox.atLeast(1)
      await harness.runs.take(async (delivery) => inbox.put(delivery), { concurrency: 1 })
      subscription.close()
      expect((await inbox.atLeast(2)).map(({ attempt }) => attempt)).toEqual([1, 2])
    })

    it('takes no more runs while it drains, and then delivers a rejected run to another subscription without a delay', async () => {
      let reject = (): void => undefined
      const draining = await harness.runs.take(
        async (delivery) => {
          inbox.put(delivery)
          await new Promise((_, refuse) => {
            reject = () => refuse(new Error('not started'))
          })
        },
        { concurrency: 5, retryDelayMs: 3_600_000 },
      )
      await harness.runs.offer(queued(1))
      await inbox.atLeast(1)
      draining.drain()
      await harness.runs.offer(queued(2))
      const others = new Inbox()
      await harness.runs.take(async (delivery) => others.put(delivery), { concurrency: 1 })
      expect((await others.atLeast(1)).map(({ run }) => run)).toEqual(['r2'])
      reject()
      expect((await others.atLeast(2))[1]).toEqual({ ...queued(1), attempt: 2 })
      expect(inbox.deliveries).toHaveLength(1)
    })

    it('delivers an unfinished run again after a crash, and counts the attempt', async () => {
      await harness.runs.offer(queued(1))
      await harness.runs.take(
        async (delivery, signal) => {
          inbox.put(delivery)
          await untilAborted(signal)
        },
        { concurrency: 1 },
      )
      await inbox.atLeast(1)
      await harness.crash()
      await harness.runs.take(async (delivery) => inbox.put(delivery), { concurrency: 1 })
      expect((await inbox.atLeast(2))[1]).toEqual({ ...queued(1), attempt: 2 })
    })

    it('does not deliver a finished run again, also after a restart', async () => {
      const subscription = await harness.runs.take(async (delivery) => inbox.put(delivery), { concurrency: 4 })
      await harness.runs.offer(queued(1))
      await inbox.atLeast(1)
      subscription.close()
      await harness.reopen()
      await harness.runs.take(async (delivery) => inbox.put(delivery), { concurrency: 4 })
      await harness.runs.offer(queued(2))
      expect((await inbox.atLeast(2)).map(({ run }) => run)).toEqual(['r1', 'r2'])
    })

    it('keeps the order of runs across a restart', async () => {
      for (const i of [1, 2, 3]) await harness.runs.offer(queued(i))
      await harness.reopen()
      await harness.runs.offer(queued(4))
      await harness.runs.take(async (delivery) => inbox.put(delivery), { concurrency: 1 })
      expect((await inbox.atLeast(4)).map(({ run }) => run)).toEqual(['r1', 'r2', 'r3', 'r4'])
    })
  })
}
