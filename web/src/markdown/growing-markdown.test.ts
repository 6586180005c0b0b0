// A growing Markdown text: whole, it is what the parser says of it at once; growing, nothing in it changes its kind.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GrowingMarkdown, grown, NO_MARKDOWN, STEP, WINDOW } from './growing-markdown.ts'
import { type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

const ANSWER = `# A title

Some **bold** and *slanted* words, \`code\`, ~~struck~~, a [link](https://example.org/a) and 2 * 3 < 7.
A second line.

- one
- two
  \`\`\`js
  inner()
  \`\`\`

  more of two
- [x] done

1. first

2. second

| name | value |
| :--- | ---: |
| a | 1 |
| b | 2 |

> quoted
> text

\`\`\`ts
const a = '<b>'

if (a) {
\`\`\`

~~~
plain
~~~

Title
===

---

The end. https://example.org
`

/** Nodes without their places, and without what is not shown. */
function bare(nodes: readonly MarkdownNode[]): unknown {
  return JSON.parse(JSON.stringify(nodes, (key, value) => (key === 'position' || key === 'meta' ? undefined : value)))
}

function nodesOf(state: GrowingMarkdown): readonly MarkdownNode[] {
  return [...state.complete, ...(state.last === undefined ? [] : [state.last])].flatMap(({ nodes }) => nodes)
}

/** Each state on the way, in steps of so many characters. */
function* growth(text: string, step: number): Generator<GrowingMarkdown> {
  let state = NO_MARKDOWN
  for (let length = step; length < text.length; length += step) {
    state = grown(state, text.slice(0, length), false)
    yield state
  }
  yield grown(state, text, false)
}

function shown(text: string): unknown {
  return bare(nodesOf(grown(NO_MARKDOWN, text, false)))
}

describe('a growing Markdown text', () => {
  it('is in the end what it is when it is read at once, however it came', () => {
    const pieces = ANSWER.split(/(?<=\n)/)
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...pieces), { maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (parts, steps) => {
          const text = parts.join('')
          let state = NO_MARKDOWN
          for (let length = 0, i = 0; length < text.length; i += 1) {
            length += steps[i % steps.length] ?? 1
            state = grown(state, text.slice(0, length), false)
          }
          expect(bare(nodesOf(grown(state, text, true)))).toEqual(bare(parseMarkdown(text)))
        },
      ),
      { numRuns: 150 },
    )
  })

  it('keeps its complete blocks, and adds to them only', () => {
    for (const step of [1, 3, 17]) {
      let held: GrowingMarkdown['complete'] = []
      for (const { complete } of growth(ANSWER, step)) {
        expect(complete.slice(0, held.length).every((block, at) => block === held[at])).toBe(true)
        held = complete
      }
      expect(held.length).toBeGreaterThan(9)
    }
  })

  it('never shows a kind of block that is not there in the end', () => {
    const kinds = parseMarkdown(ANSWER).map(({ type }) => type)
    for (const state of growth(ANSWER, 1)) {
      const now = nodesOf(state).map(({ type }) => type)
      // One underlined title: what stands over the line is a paragraph until the line comes.
      const same = now.filter((kind, at) => kind === kinds[at] || (kinds[at] === 'heading' && kind === 'paragraph'))
      expect(same).toEqual(now)
    }
  })

  it('closes what is open inside of a line', () => {
    expect(shown('This is **bo')).toEqual(bare(parseMarkdown('This is **bo**')))
    expect(shown('Call `run(')).toEqual(bare(parseMarkdown('Call `run(`')))
    expect(shown('See [the page](https://exa')).toEqual(bare(parseMarkdown('See the page')))
  })

  it('holds back a table until its rule is there, and a fence until its line is', () => {
    expect(shown('Look:\n\n| a | b |')).toEqual(bare(parseMarkdown('Look:')))
    expect(shown('Look:\n\n| a | b |\n|---|-')).toEqual(bare(parseMarkdown('Look:')))
    expect(nodesOf(grown(NO_MARKDOWN, '| a | b |\n|---|---|\n| 1', false))[0]?.type).toBe('table')
    expect(shown('Look:\n\n``')).toEqual(bare(parseMarkdown('Look:')))
    expect(shown('```js\na\n``')).toEqual([{ type: 'code', lang: 'js', value: 'a' }])
  })

  it('shows all of it when it has ended', () => {
    const end = (text: string) => bare(nodesOf(grown(grown(NO_MARKDOWN, text, false), text, true)))
    for (const text of ['a **b', '| a |', 'x\n-', '```', '```js', '```js\na\n``', '- ']) {
      expect(end(text)).toMatchObject(bare(parseMarkdown(text)) as object)
    }
  })

  it('takes tags for text', () => {
    const text = '<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> and <b>bold</b> &lt;i&gt;'
    const types = JSON.stringify(bare(nodesOf(grown(NO_MARKDOWN, text, true))))
    expect(types).not.toContain('"html"')
    expect(types).toContain('<script>alert(1)</script>')
  })

  it('reads links by name when the text tells at its end where they lead', () => {
    const text = 'See [the page][1].\n\n```\n[code][1]\n```\n\n[1]: https://example.org/x\n'
    const nodes = JSON.stringify(nodesOf(grown(NO_MARKDOWN, text, true)))
    expect(nodes).toContain('"type":"link"')
    expect(nodes).toContain('"url":"https://example.org/x"')
    expect(nodes).toContain('"[code][1]"')
  })

  it('cuts a block that goes on and on, and loses nothing of it', () => {
    const words = Array.from({ length: 8_000 }, (_, at) => `word${at}`).join(' ')
    let state = NO_MARKDOWN
    for (let length = 0; length <= words.length; length += 1_000) {
      state = grown(state, words.slice(0, length), false)
      expect(state.last?.source.length ?? 0).toBeLessThanOrEqual(WINDOW)
    }
    state = grown(state, words, true)
    expect(state.complete.map(({ source }) => source).join('')).toBe(words)
  })

  it('takes a very long text in steps', () => {
    const text = 'A paragraph of some length.\n\n'.repeat(6_000)
    const code = `\`\`\`\n${'a line of code\n'.repeat(10_000)}\`\`\`\n`
    for (const long of [text, code]) {
      let state = grown(NO_MARKDOWN, long, true)
      expect(state.text.length).toBe(STEP)
      expect(state.ended).toBe(false)
      while (!state.ended) state = grown(state, long, true)
      expect(state.text).toBe(long)
      expect(state.complete.map(({ source }) => source).join('')).toBe(long)
    }
  })

  it('begins anew when the text is another one', () => {
    const state = grown(NO_MARKDOWN, 'One text.\n\nAnd more.\n\n', false)
    expect(bare(nodesOf(grown(state, 'Another', true)))).toEqual(bare(parseMarkdown('Another')))
  })
})
