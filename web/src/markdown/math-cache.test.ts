// The cache of formulas: each request has one reply, and a failed job is tried again.
/// <reference types="vite/client" />
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { MathElement } from './math-tree.ts'
import type { MathRequest } from './math-worker.ts'

/** A worker that replies, or fails, when the test says so. */
class FakeWorker {
  static last: FakeWorker
  onmessage: ((event: { readonly data: unknown }) => void) | undefined
  readonly jobs: { readonly id: number; readonly message: readonly MathRequest[] }[] = []

  constructor() {
    FakeWorker.last = this
  }

  postMessage(job: FakeWorker['jobs'][number]): void {
    this.jobs.push(job)
  }

  reply(works: boolean): void {
    const { id, message } = this.jobs.shift() ?? { id: 0, message: [] }
    this.onmessage?.({ data: { id, message: works ? message.map(({ tex }) => rendered(tex)) : undefined } })
  }
}

const rendered = (tex: string): MathElement => ({ name: 'math', props: {}, children: [tex] })
const formula = (tex: string): MathRequest => ({ tex, display: false })

beforeEach(() => {
  vi.useFakeTimers()
  vi.resetModules()
  vi.stubGlobal('Worker', FakeWorker)
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('replies once to each request, in a later task, also if the formula is known already', async () => {
  const { knownMath, requestMath } = await import('./math-cache.ts')
  const replies: unknown[] = []
  requestMath(formula('x'), (reply) => replies.push(reply))
  requestMath(formula('y'), () => replies.push('withdrawn'))()
  vi.runOnlyPendingTimers()
  FakeWorker.last.reply(true)
  expect(replies).toEqual([rendered('x')])
  expect(knownMath(formula('x'))).toEqual(rendered('x'))

  requestMath(formula('x'), (reply) => replies.push(reply))
  requestMath(formula('x'), () => replies.push('withdrawn'))()
  expect(replies).toHaveLength(1)
  vi.runOnlyPendingTimers()
  expect(replies).toEqual([rendered('x'), rendered('x')])
  expect(FakeWorker.last.jobs).toEqual([])
})

it('tries the formulas of a failed job again', async () => {
  const { knownMath, requestMath } = await import('./math-cache.ts')
  const replies: unknown[] = []
  for (const works of [false, true]) {
    requestMath(formula('x'), (reply) => replies.push(reply))
    vi.runOnlyPendingTimers()
    FakeWorker.last.reply(works)
  }
  expect(replies).toEqual([undefined, rendered('x')])
  expect(knownMath(formula('x'))).toEqual(rendered('x'))
})
