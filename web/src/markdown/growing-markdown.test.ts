// A growing Markdown text: complete, it equals the parse of the whole text; while it grows, no block changes its type.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GrowingMarkdown, growMarkdown, NO_MARKDOWN, STEP, WINDOW } from './growing-markdown.ts'
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

/** Nodes without positions and invisible fields. */
function bare(nodes: readonly MarkdownNode[]): unknown {
  return JSON.parse(JSON.stringify(nodes, (key, value) => (key === 'position' || key === 'meta' ? undefined : value)))
}

function nodesOf(state: GrowingMarkdown): readonly MarkdownNode[] {
  return [...state.complete, ...(state.last === undefined ? [] : [state.last])].flatMap(({ nodes }) => nodes)
}

/** All states while the text grows by `step` characters. */
function* growth(text: string, step: number): Generator<GrowingMarkdown> {
  let state = NO_MARKDOWN
  for (let length = step; length < text.length; length += step) {
    state = growMarkdown(state, text.slice(0, length), false)
    yield state
  }
  yield growMarkdown(state, text, false)
}

function render(text: string): unknown {
  return bare(nodesOf(growMarkdown(NO_MARKDOWN, text, false)))
}

describe('a growing Markdown text', () => {
  it('ends as the parse of the whole text, however it arrives', () => {
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
            state = growMarkdown(state, text.slice(0, length), false)
          }
          expect(bare(nodesOf(growMarkdown(state, text, true)))).toEqual(bare(parseMarkdown(text)))
        },
      ),
      { numRuns: 150 },
    )
  })

  it('never changes a complete block', () => {
    for (const step of [1, 3, 17]) {
      let before: GrowingMarkdown['complete'] = []
      for (const { complete } of growth(ANSWER, step)) {
        expect(complete.slice(0, before.length).every((block, at) => block === before[at])).toBe(true)
        before = complete
      }
      expect(before.length).toBeGreaterThan(9)
    }
  })

  it('never shows a type of block that the complete text does not have', () => {
    const kinds = parseMarkdown(ANSWER).map(({ type }) => type)
    for (const state of growth(ANSWER, 1)) {
      const now = nodesOf(state).map(({ type }) => type)
      // The underlined title is a paragraph until its underline arrives.
      const same = now.filter((kind, at) => kind === kinds[at] || (kinds[at] === 'heading' && kind === 'paragraph'))
      expect(same).toEqual(now)
    }
  })

  it('closes open inline markup', () => {
    expect(render('This is **bo')).toEqual(bare(parseMarkdown('This is **bo**')))
    expect(render('Call `run(')).toEqual(bare(parseMarkdown('Call `run(`')))
    expect(render('See [the page](https://exa')).toEqual(bare(parseMarkdown('See the page')))
  })

  it('delays a table until its delimiter row is complete, and a fence until its line is', () => {
    expect(render('Look:\n\n| a | b |')).toEqual(bare(parseMarkdown('Look:')))
    expect(render('Look:\n\n| a | b |\n|---|-')).toEqual(bare(parseMarkdown('Look:')))
    expect(nodesOf(growMarkdown(NO_MARKDOWN, '| a | b |\n|---|---|\n| 1', false))[0]?.type).toBe('table')
    expect(render('Look:\n\n``')).toEqual(bare(parseMarkdown('Look:')))
    expect(render('```js\na\n``')).toEqual([{ type: 'code', lang: 'js', value: 'a' }])
  })

  it('shows the whole text once it has ended', () => {
    const end = (text: string) => bare(nodesOf(growMarkdown(growMarkdown(NO_MARKDOWN, text, false), text, true)))
    for (const text of ['a **b', '| a |', 'x\n-', '```', '```js', '```js\na\n``', '- ']) {
      expect(end(text)).toMatchObject(bare(parseMarkdown(text)) as object)
    }
  })

  it('treats HTML tags as text', () => {
    const text = '<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> and <b>bold</b> &lt;i&gt;'
    const types = JSON.stringify(bare(nodesOf(growMarkdown(NO_MARKDOWN, text, true))))
    expect(types).not.toContain('"html"')
    expect(types).toContain('<script>alert(1)</script>')
  })

  it('resolves reference links if their definitions follow at the end', () => {
    const text = 'See [the page][1].\n\n```\n[code][1]\n```\n\n[1]: https://example.org/x\n'
    const nodes = JSON.stringify(nodesOf(growMarkdown(NO_MARKDOWN, text, true)))
    expect(nodes).toContain('"type":"link"')
    expect(nodes).toContain('"url":"https://example.org/x"')
    expect(nodes).toContain('"[code][1]"')
  })

  it('splits a very long block without losing text', () => {
    const words = Array.from({ length: 8_000 }, (_, at) => `word${at}`).join(' ')
    let state = NO_MARKDOWN
    for (let length = 0; length <= words.length; length += 1_000) {
      state = growMarkdown(state, words.slice(0, length), false)
      expect(state.last?.source.length ?? 0).toBeLessThanOrEqual(WINDOW)
    }
    state = growMarkdown(state, words, true)
    expect(state.complete.map(({ source }) => source).join('')).toBe(words)
  })

  it('processes a very long text in steps', () => {
    const text = 'A paragraph of some length.\n\n'.repeat(6_000)
    const code = `\`\`\`\n${'a line of code\n'.repeat(10_000)}\`\`\`\n`
    for (const long of [text, code]) {
      let state = growMarkdown(NO_MARKDOWN, long, true)
      expect(state.text.length).toBe(STEP)
      expect(state.ended).toBe(false)
      while (!state.ended) state = growMarkdown(state, long, true)
      expect(state.text).toBe(long)
      expect(state.complete.map(({ source }) => source).join('')).toBe(long)
    }
  })

  it('starts over if the text is replaced', () => {
    const state = growMarkdown(NO_MARKDOWN, 'One text.\n\nAnd more.\n\n', false)
    expect(bare(nodesOf(growMarkdown(state, 'Another', true)))).toEqual(bare(parseMarkdown('Another')))
  })
})
