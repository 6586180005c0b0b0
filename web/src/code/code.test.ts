// Syntax highlighting: the text is always complete and never delayed, and unchanged chunks stay the same objects.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { grammars } from './grammars.ts'
import { CHUNK_LINES, type Chunk, chunksOf, type Run, runsOf, withoutBreaks } from './highlighted-lines.ts'
import { HIGHLIGHT_MAX, type Highlight, IncrementalHighlighter } from './incremental-highlighter.ts'

const runs = (code: string, lang: string): readonly Run[] => runsOf(grammars.highlight(code, { language: lang }).value)
const highlight: Highlight = (code, lang, done) => done(runs(code, lang))
const line = 'const a = `<b>&amp;</b>` // "quoted" \'text\'\n'

function text(chunks: readonly Chunk[]): string {
  return chunks.map((chunk) => chunk.text).join('')
}

describe('the runs of a program', () => {
  it('contain exactly its text', () => {
    for (const [code, language] of [
      [line, 'ts'],
      ['<script>alert("x")</script> &lt; &#x27; </span><span class="x">', 'html'],
      ['{"a": "</span>"}', 'json'],
    ] as const) {
      const runs = runsOf(grammars.highlight(code, { language }).value)
      expect(runs.map((run) => run.text).join('')).toBe(code)
      expect(runs.some(({ kind }) => kind?.startsWith('hljs-'))).toBe(true)
    }
  })

  it('treat foreign tags as text', () => {
    expect(runsOf('<b onclick="x">&nbsp;</b>')).toEqual([{ text: '<b onclick="x">&nbsp;</b>', kind: undefined }])
  })

  it('are grouped into chunks of lines, and unchanged chunks stay the same objects', () => {
    const before = chunksOf([{ text: line.repeat(100), kind: 'k' }], [])
    expect(before.map((chunk) => chunk.text.split('\n').length - 1)).toEqual([CHUNK_LINES, CHUNK_LINES, 20])
    const after = chunksOf([{ text: line.repeat(110), kind: 'k' }], before)
    expect(after[0]).toBe(before[0])
    expect(after[1]).toBe(before[1])
    expect(after[2]).not.toBe(before[2])
  })
})

describe('a growing program', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('shows its whole text at once, and is highlighted at most as often as the cooldown allows', async () => {
    let calls = 0
    const slow: Highlight = (code, lang, done) => {
      calls += 1
      setTimeout(() => highlight(code, lang, done), 10)
    }
    const incremental = new IncrementalHighlighter(() => performance.now(), slow)
    let code = ''
    let changes = 0
    let stop: (() => void) | undefined
    const changed = (): void => {
      changes += 1
    }
    for (let at = 0; at < 200; at += 1) {
      code += line
      expect(text(incremental.chunks(code, 'ts'))).toBe(code)
      stop?.()
      stop = incremental.highlightLater(code, 'ts', true, changed)
      await vi.advanceTimersByTimeAsync(5)
    }
    // A fifth of 1 s, at 10 ms each.
    expect(calls).toBeLessThanOrEqual(21)
    expect(calls).toBeGreaterThan(5)
    expect(changes).toBeGreaterThan(5)
    await vi.advanceTimersByTimeAsync(10)
    incremental.highlightLater(code, 'ts', false, changed)
    await vi.advanceTimersByTimeAsync(10)
    expect(incremental.chunks(code, 'ts')).toEqual(chunksOf(runs(code, 'ts'), []))
    expect(incremental.highlightLater(code, 'ts', false, changed)).toBeUndefined()
  })

  it('is highlighted by complete lines', async () => {
    const incremental = new IncrementalHighlighter(() => 0, highlight)
    incremental.highlightLater(`${line}const b`, 'ts', true, () => undefined)
    await vi.advanceTimersByTimeAsync(0)
    const chunks = incremental.chunks(`${line}const b`, 'ts')
    expect(chunks.at(-1)).toEqual({ text: 'const b', runs: [{ text: 'const b', kind: undefined }] })
    expect(chunks[0]?.runs.length).toBeGreaterThan(1)
  })

  it.each([
    ['without a language', 'const a', ''],
    ['if its language is unknown, or takes too long', 'const a', 'klingon'],
    ['if it is too long', line.repeat(HIGHLIGHT_MAX / line.length + 1), 'ts'],
  ])('is plain %s', async (_, code, lang) => {
    const incremental = new IncrementalHighlighter(
      () => 0,
      (_code, _lang, done) => done(undefined),
    )
    const stop = incremental.highlightLater(code, lang, false, () => undefined)
    expect(stop === undefined).toBe(lang !== 'klingon')
    await vi.advanceTimersByTimeAsync(0)
    const chunks = incremental.chunks(code, lang)
    expect(text(chunks)).toBe(code)
    expect(chunks.flatMap((chunk) => chunk.runs).every(({ kind }) => kind === undefined)).toBe(true)
    // It is not tried again.
    expect(incremental.highlightLater(code, lang, false, () => undefined)).toBeUndefined()
  })
})

describe('a chunk', () => {
  it('is plain if it has very many runs', () => {
    const chunks = chunksOf(runs(`${'a+1,'.repeat(2_000)}\n`, 'js'), [])
    expect(chunks.map(({ runs }) => runs.map(({ kind }) => kind))).toEqual([[undefined], [undefined], [undefined]])
  })

  // A browser lays a line out at once: 64,000 letters of two directions took 3 s.
  it('is a part of a long line, or some whole lines', () => {
    const long = 'aש'.repeat(4_100)
    const code = `a\n\n${long}\nb\n${'c'.repeat(3_000)}\n${'d'.repeat(3_000)}\n\ne`
    const chunks = chunksOf(
      [
        { text: code.slice(0, 5_000), kind: 'k' },
        { text: code.slice(5_000), kind: undefined },
      ],
      [],
    )
    expect(text(chunks)).toBe(code)
    expect(chunks.map((chunk) => chunk.text.length)).toEqual([3, 4_000, 997, 3_204, 6_004, 2])
    for (const { text, runs } of chunks) expect(runs.map((run) => run.text).join('')).toBe(text)
  })

  it('has runs without the line breaks at its end', () => {
    const lines = [
      { text: 'a\n', kind: 'k' },
      { text: '\n\n', kind: undefined },
    ]
    expect(withoutBreaks(lines, 3)).toEqual([{ text: 'a', kind: 'k' }])
    expect(withoutBreaks(lines, 0)).toEqual(lines)
  })
})
