// Programs in colours: the text is always whole and never behind, and what did not change stays the same object.
import { describe, expect, it } from 'vitest'
import { CodeFeed, type ShownCode } from './code-feed.ts'
import { grammars } from './grammars.ts'
import { CHUNK_LINES, chunksOf, runsOf } from './highlighted-lines.ts'
import type { Highlighter } from './highlighter.ts'

const highlighter: Highlighter = {
  knows: () => true,
  colour: (code, lang) => runsOf(grammars.highlight(code, { language: lang }).value),
}
const line = 'const a = `<b>&amp;</b>` // "quoted" \'text\'\n'

function text({ chunks }: ShownCode): string {
  return chunks.map((chunk) => chunk.text).join('')
}

describe('runs of a program', () => {
  it('are its text, and nothing else', () => {
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

  it('take what is not of the highlighter for text', () => {
    expect(runsOf('<b onclick="x">&nbsp;</b>')).toEqual([{ text: '<b onclick="x">&nbsp;</b>', kind: undefined }])
  })

  it('come in chunks of lines, of which those that are the same are the same object', () => {
    const before = chunksOf([{ text: line.repeat(100), kind: 'k' }], [])
    expect(before.map((chunk) => chunk.text.split('\n').length - 1)).toEqual([CHUNK_LINES, CHUNK_LINES, 20])
    const after = chunksOf([{ text: line.repeat(110), kind: 'k' }], before)
    expect(after[0]).toBe(before[0])
    expect(after[1]).toBe(before[1])
    expect(after[2]).not.toBe(before[2])
  })
})

describe('a program that grows', () => {
  it('is never behind its text, and colours no more often than its pace allows', () => {
    let now = 0
    let turns = 0
    const costly: Highlighter = {
      knows: () => true,
      colour: (code, lang) => {
        now += 10
        turns += 1
        return highlighter.colour(code, lang)
      },
    }
    const feed = new CodeFeed(() => now)
    let code = ''
    for (let at = 0; at < 200; at += 1) {
      code += line
      expect(text(feed.look(code, 'ts', true, costly))).toBe(code)
      now += 5
    }
    // Of about 1.2 s a fifth.
    expect(turns).toBeLessThanOrEqual(26)
    const whole = feed.look(code, 'ts', false, costly)
    expect(whole.wait).toBeUndefined()
    expect(whole.chunks).toEqual(chunksOf(highlighter.colour(code, 'ts'), []))
  })

  it('colours whole lines only', () => {
    const feed = new CodeFeed(() => 0)
    const { chunks } = feed.look(`${line}const b`, 'ts', true, highlighter)
    expect(chunks.at(-1)).toEqual({ text: 'const b', runs: [{ text: 'const b', kind: undefined }] })
  })

  it('is plain without a highlighter or a language, and when it is too long', () => {
    const plain = [{ text: 'const a', kind: undefined }]
    expect(new CodeFeed(() => 0).look('const a', 'ts', false, undefined).chunks[0]?.runs).toEqual(plain)
    expect(new CodeFeed(() => 0).look('const a', undefined, false, highlighter).chunks[0]?.runs).toEqual(plain)
    const long = new CodeFeed(() => 0).look(line.repeat(4_000), 'ts', false, highlighter)
    expect(long.chunks.flatMap(({ runs }) => runs).every(({ kind }) => kind === undefined)).toBe(true)
    expect(text(long)).toBe(line.repeat(4_000))
  })
})
