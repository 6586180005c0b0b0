// How long a provider may be silent, where it is this process that did not listen.
import { stat } from 'node:fs'
import { expect, it } from 'vitest'
import { callModel } from './model-call.ts'
import { PlayedModel } from './test/engine-harness.ts'

const TIMEOUTS = { firstTokenMs: 500, betweenTokensMs: 300 }

function asked() {
  const model = new PlayedModel()
  const texts: string[] = []
  const sink = {
    text: (_: unknown, delta: string): undefined => void texts.push(delta),
    call: () => 'none',
  }
  const answer = callModel(model, { prompt: [] }, TIMEOUTS, sink, new AbortController().signal)
  answer.catch(() => undefined)
  return { model, texts, answer }
}

it('a provider that falls silent is given up', async () => {
  const { model, answer } = asked()
  const call = await model.next()
  call.text('one')
  await expect(answer).rejects.toMatchObject({ code: 'provider_timeout' })
  await call.aborted
})

it('what a provider says while this process stands still is no silence, however long that is', async () => {
  const { model, texts, answer } = asked()
  const call = await model.next()
  call.text('one')
  await new Promise((resolve) => setImmediate(resolve))
  // As from a socket: it is read after the timers that are due.
  stat('.', () => {
    call.text(' two')
    call.finish()
  })
  const until = performance.now() + 1_300
  while (performance.now() < until);
  expect(await answer).toMatchObject({ reason: 'stop' })
  expect(texts.join('')).toBe('one two')
})

it('a provider that is silent before and after the process stood still is given up all the same', async () => {
  const { model, answer } = asked()
  const call = await model.next()
  call.text('one')
  await new Promise((resolve) => setImmediate(resolve))
  const until = performance.now() + 1_300
  while (performance.now() < until);
  await expect(answer).rejects.toMatchObject({ code: 'provider_timeout' })
})
