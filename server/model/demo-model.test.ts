// The demo model: its output depends on the prompt alone, and each directive has its effect.
import type { LanguageModelV3Message, LanguageModelV3Prompt } from '@ai-sdk/provider'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { demoReasoning, demoText, noise } from './demo-answer.ts'
import { createDemoModel } from './demo-model.ts'
import { toProviderFailure } from './provider-failure.ts'
import { readAnswer, userPrompt } from './test/provider-server.ts'

const demo = createDemoModel()

function assistant(text: string, reasoning = ''): LanguageModelV3Message {
  const thought = reasoning === '' ? [] : [{ type: 'reasoning' as const, text: reasoning }]
  return { role: 'assistant', content: [...thought, ...(text === '' ? [] : [{ type: 'text' as const, text }])] }
}

function called(...ids: string[]): LanguageModelV3Message {
  return {
    role: 'assistant',
    content: ids.map((id) => ({ type: 'tool-call', toolCallId: id, toolName: id, input: {} })),
  }
}

function results(outputs: Record<string, string | number>): LanguageModelV3Message {
  return {
    role: 'tool',
    content: Object.entries(outputs).map(([id, value]) => ({
      type: 'tool-result',
      toolCallId: id,
      toolName: id,
      output: typeof value === 'string' ? { type: 'error-text', value } : { type: 'json', value: { n: value } },
    })),
  }
}

describe('the demo model’s output', () => {
  it('is the numbers of the directive, one per token', async () => {
    const received = await readAnswer(demo, '/demo count=12 rate=0 reasoning=3')
    expect(received.text).toBe('0 1 2 3 4 5 6 7 8 9 10 11')
    expect(received.reasoning).toBe('r0 r1 r2')
    expect(received.parts.filter((part) => part.type === 'text-delta').map((part) => part.delta)).toEqual([
      '0',
      ' 1',
      ' 2',
      ' 3',
      ' 4',
      ' 5',
      ' 6',
      ' 7',
      ' 8',
      ' 9',
      ' 10',
      ' 11',
    ])
    expect(received.parts.map((part) => part.type)).toEqual([
      'stream-start',
      'reasoning-start',
      ...Array(3).fill('reasoning-delta'),
      'reasoning-end',
      'text-start',
      ...Array(12).fill('text-delta'),
      'text-end',
      'finish',
    ])
    expect(received.finish?.finishReason.unified).toBe('stop')
    expect(received.finish?.usage).toMatchObject({
      inputTokens: { total: 14 },
      outputTokens: { total: 15, text: 12, reasoning: 3 },
    })
  })

  it('equals demoText and demoReasoning, for a valid, a malformed and no directive', async () => {
    for (const message of ['/demo count=150 rate=0 reasoning=70', '/demo rate=0 count=0']) {
      const received = await readAnswer(demo, message)
      expect([received.text, received.reasoning]).toEqual([demoText(message), demoReasoning(message)])
    }
    const broken = await readAnswer(demo, '/demo size=3')
    expect(broken.text).toBe(demoText('/demo size=3'))
    expect(broken.text).toContain('"size" is an unknown key')
  })

  it('says that it is a demo and how to configure a real model, without a directive', () => {
    const text = demoText('Who are you, and why?')
    expect(text).toContain('demo model')
    expect(text).toContain('PARLEY_MODEL=openai:<id>')
    expect(text).toContain('PARLEY_COMPATIBLE_URL')
    expect(demoText('How do I stop you?')).toContain('**Stopping.**')
    expect(demoReasoning('Think about it')).not.toBe('')
    expect(demoReasoning('Hello')).toBe('')
  })

  it('answers the last of several adjacent messages', async () => {
    const prompt: LanguageModelV3Prompt = [
      { role: 'system', content: 'Be brief.' },
      ...userPrompt('/demo count=9 rate=0'),
      assistant('0 1 2'),
      {
        role: 'user',
        content: [
          { type: 'text', text: '/demo count=8 rate=0' },
          { type: 'text', text: '/demo count=2 rate=0' },
        ],
      },
    ]
    expect((await readAnswer(demo, { prompt })).text).toBe('0 1')
    const apart = [...userPrompt('/demo count=9 rate=0'), ...userPrompt('/demo count=3 rate=0')]
    expect((await readAnswer(demo, { prompt: apart })).text).toBe('0 1 2')
  })

  it('stops at its token limit', async () => {
    const received = await readAnswer(demo, {
      prompt: userPrompt('/demo count=9 rate=0 reasoning=2'),
      maxOutputTokens: 5,
    })
    expect([received.reasoning, received.text]).toEqual(['r0 r1', '0 1 2'])
    expect(received.finish?.finishReason.unified).toBe('length')
    const exact = await readAnswer(demo, { prompt: userPrompt('/demo count=5 rate=0'), maxOutputTokens: 5 })
    expect(exact.finish?.finishReason.unified).toBe('stop')
  })
})

describe('the demo model with tools', () => {
  const message = '/demo count=3 rate=0 reasoning=2 tool=a input={"x y": 1} tool=b'

  it('calls all of them after its reasoning, without text', async () => {
    const received = await readAnswer(demo, message)
    expect(received.calls).toEqual([
      { name: 'a', input: { 'x y': 1 } },
      { name: 'b', input: {} },
    ])
    expect([received.reasoning, received.text]).toEqual(['r0 r1', ''])
    expect(received.finish?.finishReason.unified).toBe('tool-calls')
    expect(new Set(received.parts.flatMap((part) => (part.type === 'tool-call' ? [part.toolCallId] : []))).size).toBe(2)
  })

  it('writes their results in the order of the calls, then counts', async () => {
    const prompt = [...userPrompt(message), called('a', 'b'), results({ b: 'too late', a: 4 })]
    const received = await readAnswer(demo, { prompt })
    expect(received.text).toBe('{"n":4}\n{"error":"too late"}\n0 1 2')
    expect(received.text).toBe(demoText(message, [{ output: { n: 4 } }, { error: 'too late' }]))
    expect([received.reasoning, received.calls]).toEqual(['', []])
  })

  it('makes only the missing calls, and continues the text where it was cut', async () => {
    const first = await readAnswer(demo, { prompt: [...userPrompt(message), called('a'), results({ a: 4 })] })
    expect(first.calls).toEqual([{ name: 'b', input: {} }])
    const all = [...userPrompt(message), called('a'), results({ a: 4 }), called('b'), results({ b: 5 })]
    const cut = await readAnswer(demo, { prompt: [...all, assistant('{"n":4}\n{"n":5}\n0 1')] })
    expect(cut.text).toBe(' 2')
  })
})

describe('the demo model that continues a partial answer', () => {
  it('writes exactly the rest, wherever it was cut', async () => {
    const message = '/demo count=25 rate=0 reasoning=15'
    const [thought, text] = [demoReasoning(message), demoText(message)]
    await fc.assert(
      fc.asyncProperty(fc.nat(thought.length + text.length), async (cut) => {
        const begun = assistant(text.slice(0, Math.max(0, cut - thought.length)), thought.slice(0, cut))
        const received = await readAnswer(demo, { prompt: [...userPrompt(message), begun] })
        expect((thought + text).slice(0, cut) + received.reasoning + received.text).toBe(thought + text)
        expect(received.finish?.finishReason.unified).toBe('stop')
      }),
    )
  })

  it('starts from the beginning after foreign text', async () => {
    const received = await readAnswer(demo, { prompt: [...userPrompt('/demo count=3 rate=0'), assistant('Well')] })
    expect(received.text).toBe('0 1 2')
  })

  it('counts earlier tokens towards fail', async () => {
    const received = await readAnswer(demo, {
      prompt: [...userPrompt('/demo count=9 rate=0 fail=5'), assistant('0 1 2')],
    })
    expect(received.text).toBe(' 3 4')
    expect(received.error).toBeDefined()
  })
})

describe('the demo model that misbehaves on request', () => {
  it('fails after the given number of tokens, as a provider does', async () => {
    const received = await readAnswer(demo, '/demo count=9 rate=0 reasoning=2 fail=4')
    expect([received.reasoning, received.text, received.finish]).toEqual(['r0 r1', '0 1', undefined])
    expect(toProviderFailure(received.error)).toMatchObject({ code: 'provider_error', retryable: true })
    expect((await readAnswer(demo, '/demo count=9 rate=0 fail=9')).text).toBe('0 1 2 3 4 5 6 7 8')
  })

  it('is silent after the given number of tokens, until it is aborted', async () => {
    const abort = new AbortController()
    const received = await readAnswer(
      demo,
      { prompt: userPrompt('/demo count=9 rate=0 hang=2'), abortSignal: abort.signal },
      (part) => {
        if (part.type === 'text-delta' && part.delta === ' 1') setImmediate(() => abort.abort(new Error('enough')))
      },
    )
    expect(received.text).toBe('0 1')
    expect(received.error).toEqual(new Error('enough'))
  })

  it('rejects at once if it is aborted before, and ends at once in mid-answer', async () => {
    const options = { prompt: userPrompt('/demo count=9 rate=1 ttft=60000') }
    expect((await readAnswer(demo, { ...options, abortSignal: AbortSignal.abort(new Error('early')) })).error).toEqual(
      new Error('early'),
    )
    const abort = new AbortController()
    const received = readAnswer(demo, { ...options, abortSignal: abort.signal }, () =>
      setImmediate(() => abort.abort(new Error('late'))),
    )
    expect((await received).error).toEqual(new Error('late'))
  })

  it('ends if its reader cancels', async () => {
    const { stream } = await demo.language.doStream({ prompt: userPrompt('/demo rate=1 ttft=60000') })
    const reader = stream.getReader()
    await reader.read()
    const waiting = reader.read()
    await reader.cancel()
    expect(await waiting).toEqual({ done: true, value: undefined })
  })
})

describe('the pace of the demo model', () => {
  it('is never faster than the directive', async () => {
    const start = performance.now()
    const times: number[] = []
    await readAnswer(demo, '/demo count=11 rate=100 ttft=40', (part) => {
      if (part.type === 'text-delta') times.push(performance.now() - start)
    })
    for (const [index, time] of times.entries()) expect(time).toBeGreaterThanOrEqual(40 + index * 10)
  })

  it('yields to the event loop at rate 0', async () => {
    let turns = 0
    let running = true
    const turn = (): void => {
      turns += 1
      if (running) setImmediate(turn)
    }
    setImmediate(turn)
    await readAnswer(demo, '/demo count=6400 rate=0')
    running = false
    expect(turns).toBeGreaterThan(50)
  })

  it('holds for thousands of complete streams at once', async () => {
    const message = (index: number): string => `/demo count=20 rate=50 jitter=20 seed=${index}`
    const received = await Promise.all(Array.from({ length: 2000 }, (_, index) => readAnswer(demo, message(index))))
    const whole = demoText('/demo count=20')
    expect(received.filter(({ text }) => text !== whole)).toEqual([])
  })

  it('is delayed by the seed, always equally', () => {
    const late = (seed: number): number[] => Array.from({ length: 50 }, (_, index) => noise(seed, index))
    expect(late(1)).toEqual(late(1))
    expect(late(1)).not.toEqual(late(2))
    expect(late(3).every((value) => value >= 0 && value < 1)).toBe(true)
  })
})
