// Tests the remembered choice of model and agent, and what a server offers of it.
import { expect, it } from 'vitest'
import { BrowserStorage, type WebStorage } from '../shared/browser-storage.ts'
import { addressed, ChoiceStore, namedModels, offeredChoice, suggestedAgents, unavailable } from './choices.ts'

const OFFERS = { models: ['demo', 'openai:*', 'compatible:a'], agents: [{ name: 'poet' }], tools: [] }

it('a choice is remembered per session, and the default leaves nothing behind', () => {
  const values = new Map<string, string>()
  const web: WebStorage = {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
    key: (at) => [...values.keys()][at] ?? null,
    get length() {
      return values.size
    },
  }
  const storage = new BrowserStorage(() => web)
  new ChoiceStore(storage, 's1').choose({ model: 'compatible:a', agent: 'poet' })
  expect(new ChoiceStore(storage, 's1').state).toEqual({ model: 'compatible:a', agent: 'poet' })
  expect(new ChoiceStore(storage, 's2').state).toEqual({})
  new ChoiceStore(storage, 's1').choose({})
  expect(values.size).toBe(0)
  for (const stored of ['7', '"x"', '{"model":1}', 'no JSON']) {
    values.set('parley.choice.s1', stored)
    expect(new ChoiceStore(storage, 's1').state).toEqual({})
  }
})

it('a choice is unavailable only if the server is known not to offer it', () => {
  expect(namedModels(OFFERS)).toEqual(['demo', 'compatible:a'])
  expect(unavailable({ model: 'openai:gpt-5', agent: 'poet' }, OFFERS)).toEqual([])
  expect(unavailable({ model: 'compatible:b', agent: 'gone' }, OFFERS)).toEqual(['compatible:b', 'gone'])
  expect(unavailable({ model: 'compatible:b' }, undefined)).toEqual([])
})

// Regression: Regenerate and Edit of a message whose model was gone were refused each time.
it('a new version of a message has its choice, or the current one if that is gone', () => {
  const current = { model: 'demo' }
  expect(offeredChoice({ model: 'openai:gpt-5' }, current, OFFERS)).toEqual({ model: 'openai:gpt-5' })
  expect(offeredChoice({}, current, OFFERS)).toEqual({})
  expect(offeredChoice({ model: 'compatible:b', agent: 'poet' }, current, OFFERS)).toEqual(current)
  expect(offeredChoice({ model: 'compatible:b' }, current, undefined)).toEqual({ model: 'compatible:b' })
})

it('a draft names an agent by @name, which counts more than the choice', () => {
  const choice = { model: 'demo', agent: 'other' }
  expect(addressed('@poet Write.', choice, OFFERS)).toEqual({ text: 'Write.', model: 'demo', agent: 'poet' })
  expect(addressed('@nobody Write.', choice, OFFERS)).toEqual({ text: '@nobody Write.', ...choice })
  expect(addressed('@poet Write.', {}, undefined)).toEqual({ text: '@poet Write.' })
  // The agent that speaks gets the whole text.
  expect(addressed('@poet Write.', choice, OFFERS, true)).toEqual({
    text: '@poet Write.',
    model: 'demo',
    agent: 'poet',
  })
})

it('a draft that is only the beginning of @name has suggestions', () => {
  const offers = { ...OFFERS, agents: [{ name: 'poet' }, { name: 'Planner' }, { name: 'lead' }] }
  expect(suggestedAgents('@', offers)).toEqual(['poet', 'Planner', 'lead'])
  expect(suggestedAgents(' @p', offers)).toEqual(['poet', 'Planner'])
  for (const draft of ['', 'a @p', '@x', '@poet ', '@poet Write']) expect(suggestedAgents(draft, offers)).toEqual([])
  expect(suggestedAgents('@', undefined)).toEqual([])
})

it('a choice of the agent that handed the conversation over ends, and no other', () => {
  const store = new ChoiceStore(new BrowserStorage(() => ({}) as WebStorage), 's1')
  store.choose({ model: 'demo', agent: 'poet' })
  store.handedOver('lead')
  store.handedOver(undefined)
  expect(store.state).toEqual({ model: 'demo', agent: 'poet' })
  store.handedOver('poet')
  expect(store.state).toEqual({ model: 'demo' })
})
