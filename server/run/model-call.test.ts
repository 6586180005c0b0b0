// Provider timeouts, when this process was paused.
import { stat } from 'node:fs'
import { expect, it } from 'vitest'
import { parseInput } from './model-answer.ts'
import { callModel } from './model-call.ts'
import { PlayedModel } from './test/engine-harness.ts'

const TIMEOUTS = { firstTokenMs: 500, betweenTokensMs: 300 }

function asked() {
  const model = new PlayedModel()
  const texts: string[] = []
  const sink = {
    text: (_: unknown, delta: string): undefined => void texts.push(delta),
    call: async () => 'none',
    warned: () => undefined,
    extra: () => undefined,
  }
  const answer = callModel(model, { prompt: [] }, TIMEOUTS, sink, new AbortController().signal)
  answer.catch(() => undefined)
  return { model, texts, answer }
}

it('times out a silent provider', async () => {
  const { model, answer } = asked()
  const call = await model.next()
  call.text('one')
  await expect(answer).rejects.toMatchObject({ code: 'provider_timeout' })
  await call.aborted
})

it('does not count a pause of the process as silence, however long it is', async () => {
  const { model, texts, answer } = asked()
  const call = await model.next()
  call.text('one')
  await new Promise((resolve) => setImmediate(resolve))
  // As from a socket: data is read after the timers that are due.
  stat('.', () => {
    call.text(' two')
    call.finish()
  })
  const until = performance.now() + 1_300
  while (performance.now() < until);
  expect(await answer).toMatchObject({ reason: 'stop' })
  expect(texts.join('')).toBe('one two')
})

it('times out a provider that is silent before and after a pause of the process', async () => {
  const { model, answer } = asked()
  const call = await model.next()
  call.text('one')
  await new Promise((resolve) => setImmediate(resolve))
  const until = performance.now() + 1_300
  while (performance.now() < until);
  await expect(answer).rejects.toMatchObject({ code: 'provider_timeout' })
})

it('takes empty and null arguments of a call as no arguments', () => {
  // Open models write `null` for a tool without parameters; it reached the tool as its input.
  for (const input of ['', ' ', 'null', ' null ']) expect(parseInput(input)).toEqual({})
  expect(parseInput('{"a":null}')).toEqual({ a: null })
  expect(parseInput('{"a":')).toBeUndefined()
  expect(parseInput(`${'['.repeat(10_000)}${']'.repeat(10_000)}`)).toBeUndefined()
})
