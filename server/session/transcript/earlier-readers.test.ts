// Readers that know text and reasoning only, as all did before there were other kinds of output: they replay a log as it was always
// described, and still have the whole text, with every index.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEntries } from '../state/apply-entry.ts'
import { toParts } from '../state/run-output.ts'
import { EMPTY_SESSION, findRun } from '../state/session-state.ts'
import { ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { compact } from './compact.ts'
import { mergeOutputs, type ProjectedEntry, projectLive } from './entry-projection.ts'

/** Append in order of index; replace by `run.snapshot` and by `run.ended.output`; drop on a restart. */
class EarlierReader {
  readonly texts = new Map<string, string>()
  readonly #next = new Map<string, number>()

  take({ json }: ProjectedEntry): void {
    const event = JSON.parse(json) as Event & { readonly kind?: string; readonly text?: string }
    if (event.type === 'run.started') {
      if (event.mode === 'restart') this.texts.set(event.run, '')
      this.#next.set(event.run, event.next)
    } else if (event.type === 'run.output') {
      const next = this.#next.get(event.run) ?? 0
      if (event.index !== next) throw new Error(`index ${event.index} does not follow ${next}`)
      this.#next.set(event.run, event.index + (event.count ?? 1))
      // Their SDK concatenates the outputs of a kind, whatever the kind is.
      if (typeof event.text !== 'string') throw new Error('an output without text')
      if (event.kind === 'text') this.texts.set(event.run, (this.texts.get(event.run) ?? '') + event.text)
    } else if ((event.type === 'run.snapshot' || event.type === 'run.ended') && event.output !== undefined) {
      let text = ''
      let covered = 0
      for (const part of event.output) {
        if (part.type === 'tool' || part.type === 'message') continue
        // Their SDK counts the outputs of a part by its lengths, and their sum is the length of its text.
        covered = Math.max(covered, part.index + part.lengths.length)
        expect(part.lengths.reduce((sum, length) => sum + length, 0)).toBe(part.text.length)
        if (part.type === 'text') text += part.text
      }
      this.texts.set(event.run, text)
      this.#next.set(event.run, event.next)
    } else if (event.type === 'run.ended' && event.next !== (this.#next.get(event.run) ?? 0)) {
      throw new Error('outputs are missing')
    }
  }
}

const kinds = fc.constantFrom(...STEP_KINDS, 'output', 'output', 'input', 'data', 'source', 'call')
const steps = fc.array(fc.record({ kind: kinds, pick: fc.nat(50) }), { maxLength: 60 }) as fc.Arbitrary<Step[]>

function textIn(log: ScriptedLog, run: string): string {
  const parts = toParts(findRun(applyEntries(EMPTY_SESSION, log.entries), run)?.output)
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

describe('a reader that knows text and reasoning only', () => {
  it('has the whole text and every index: live, merged, compacted, and from a transcript', () => {
    fc.assert(
      fc.property(steps, fc.nat(80), (script, at) => {
        const log = new ScriptedLog()
        for (const step of script) log.apply(step)
        const seq = log.entries[Math.min(at, log.entries.length - 1)]?.seq ?? 0
        const live = log.entries.flatMap((entry) => [...projectLive([entry])])
        const late = [...compact([], log.read(0, seq)), ...log.read(seq, Number.MAX_SAFE_INTEGER)]
        for (const entries of [live, log.read(0, Number.MAX_SAFE_INTEGER), late]) {
          for (const read of [entries, mergeOutputs(entries)]) {
            const reader = new EarlierReader()
            for (const entry of read) reader.take(entry)
            for (const [run, text] of reader.texts) expect(text).toBe(textIn(log, run))
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
