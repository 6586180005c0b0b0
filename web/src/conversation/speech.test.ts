// How a growing answer is told in whole sentences: all of it, once, in order.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextSpeech } from './speech.ts'

const LONG = 'This is a sentence of some length, which somebody may read. '

describe('speech', () => {
  it('waits until there are sentences worth an announcement', () => {
    expect(nextSpeech(LONG, 0, false)).toEqual({ say: '', spoken: 0 })
    const text = `${LONG}${LONG}${LONG}And so`
    expect(nextSpeech(text, 0, false)).toEqual({ say: `${LONG}${LONG}${LONG}`.trim(), spoken: 3 * LONG.length - 1 })
  })

  it('says the rest when the answer has ended', () => {
    expect(nextSpeech('Yes', 0, true)).toEqual({ say: 'Yes', spoken: 3 })
    expect(nextSpeech('Yes', 3, true)).toEqual({ say: '', spoken: 3 })
  })

  it('does not take a point within a number for an end', () => {
    const text = `${'x'.repeat(130)} 3.14`
    expect(nextSpeech(text, 0, false).say).toBe('')
  })

  it('says every word once, however the text grows', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('word ', 'end. ', '\n', 'a longer stretch without an end ')), (pieces) => {
        let text = ''
        let spoken = 0
        const said: string[] = []
        const step = (ended: boolean): void => {
          const speech = nextSpeech(text, spoken, ended)
          spoken = speech.spoken
          said.push(speech.say)
        }
        for (const piece of pieces) {
          text += piece
          step(false)
        }
        step(true)
        const words = (all: string): string[] => all.split(/\s+/).filter((word) => word !== '')
        expect(words(said.join(' '))).toEqual(words(text))
      }),
    )
  })
})
