// Syntax highlighting: the text is always complete and never delayed, and unchanged chunks stay the same objects.
import { describe, expect, it } from 'vitest'
import { grammars } from './grammars.ts'
import { CHUNK_LINES, chunksOf, runsOf } from './highlighted-lines.ts'
import type { Highlighter } from './highlighter.ts'
import { type HighlightedCode, IncrementalHighlighter } from './incremental-highlighter.ts'

const highlighter: Highlighter = {
  knows: () => true,
  highlight: (code, lang) => runsOf(grammars.highlight(code, { language: lang }).value),
}
const line = 'const a = `<b>&amp;</b>` // "quoted" \'text\'\n'

function text({ chunks }: HighlightedCode): string {
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
  it('shows its whole text at once, and is highlighted at most as often as the cooldown allows', () => {
    let now = 0
    let calls = 0
    const slow: Highlighter = {
      knows: () => true,
      highlight: (code, lang) => {
        now += 10
        calls += 1
        return highlighter.highlight(code, lang)
      },
    }
    const incremental = new IncrementalHighlighter(() => now)
    let code = ''
    for (let at = 0; at < 200; at += 1) {
      code += line
      expect(text(incremental.update(code, 'ts', true, slow))).toBe(code)
      now += 5
    }
    // A fifth of about 1.2 s, at 10 ms each.
    expect(calls).toBeLessThanOrEqual(26)
    const whole = incremental.update(code, 'ts', false, slow)
    expect(whole.wait).toBeUndefined()
    expect(whole.chunks).toEqual(chunksOf(highlighter.highlight(code, 'ts'), []))
  })

  it('is highlighted by complete lines', () => {
    const incremental = new IncrementalHighlighter(() => 0)
    const { chunks } = incremental.update(`${line}const b`, 'ts', true, highlighter)
    expect(chunks.at(-1)).toEqual({ text: 'const b', runs: [{ text: 'const b', kind: undefined }] })
  })

  it('is plain without a highlighter, with an unknown language, or if it is too long', () => {
    const plain = [{ text: 'const a', kind: undefined }]
    const update = (code: string, lang?: string, using?: Highlighter): HighlightedCode =>
      new IncrementalHighlighter(() => 0).update(code, lang, false, using)
    expect(update('const a', 'ts').chunks[0]?.runs).toEqual(plain)
    expect(update('const a', undefined, highlighter).chunks[0]?.runs).toEqual(plain)
    const long = update(line.repeat(4_000), 'ts', highlighter)
    expect(long.chunks.flatMap(({ runs }) => runs).every(({ kind }) => kind === undefined)).toBe(true)
    expect(text(long)).toBe(line.repeat(4_000))
  })
})
