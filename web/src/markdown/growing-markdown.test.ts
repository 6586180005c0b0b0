// A growing Markdown text: complete, it equals the parse of the whole text; while it grows, no block changes its type.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { share } from '../shared/share.ts'
import { type GrowingMarkdown, growMarkdown, NO_MARKDOWN } from './growing-markdown.ts'
import { MAX_DEPTH, type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

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

Since $a_1 < b_1$, \\(x \\in [0, 1)\\) costs $5 or $10, as a note[^n] says:

\\[
x = y
- z
\\]

$$\\frac{1}{2}$$

| formula | lines |
|---|---|
| $x$ | one<br>two |

[^n]: The *note*.

---

The end. https://example.org
`

/** The parts of a document that matter: their combinations nest, interrupt and refer to each other. */
const PIECES = [
  ...ANSWER.split(/(?<=\n)/),
  ...[
    '- ',
    '  ',
    '> ',
    '1. ',
    '    ',
    '\t',
    '\n',
    '**',
    '_',
    '`',
    '~~',
    '[a]',
    '[a]: /x\n',
    '![',
    '](',
    '|',
    '\\',
    ' ',
  ],
  ...[
    '```',
    '~~~~',
    '# ',
    '---\n',
    '===\n',
    '| a |\n',
    '|---|\n',
    '<b>',
    '&amp;',
    'https://a.example/x',
    '。',
    '**中',
    '文」',
  ],
  ...[
    '$',
    '$$',
    '\\(',
    '\\)',
    '\\[',
    '\\]',
    '$x$',
    '$5 ',
    '\\[\n',
    '\\]\n',
    '[^a]',
    '[^a]: ',
    '<br>',
    '| $x$<br>b |\n',
    '![b](/c)',
  ],
]

/** A document, and the lengths of the deltas in which it arrives. */
const STREAMS = fc.record({
  text: fc
    .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 6, unit: 'binary' })), { maxLength: 30 })
    .map((pieces) => pieces.join('')),
  steps: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
})

function parse(text: string): readonly MarkdownNode[] {
  return parseMarkdown(text).nodes
}

function nodesOf(state: GrowingMarkdown): readonly MarkdownNode[] {
  return [...state.complete, ...(state.last === undefined ? [] : [state.last])].flatMap(({ nodes }) => nodes)
}

/** All states while the text grows by `step` characters. */
function* growth(text: string, step: number): Generator<GrowingMarkdown> {
  let state = NO_MARKDOWN
  for (let length = step; length < text.length; length += step) {
    state = share(state, growMarkdown(state, text.slice(0, length), false))
    yield state
  }
  yield share(state, growMarkdown(state, text, false))
}

function render(text: string): unknown {
  return nodesOf(growMarkdown(NO_MARKDOWN, text, false))
}

describe('a growing Markdown text', () => {
  it('ends as the parse of the whole text, however it arrives', () => {
    fc.assert(
      fc.property(STREAMS, ({ text, steps }) => {
        let state = NO_MARKDOWN
        for (let length = 0, i = 0; length < text.length; i += 1) {
          length += steps[i % steps.length] ?? 1
          state = share(state, growMarkdown(state, text.slice(0, length), false))
        }
        state = share(state, growMarkdown(state, text, true))
        expect(nodesOf(state)).toEqual(parse(text))
      }),
      { numRuns: 300 },
    )
  })

  it('ends although the parser tells a wrong start of a block', () => {
    const text = '- \rnext\n'
    expect(nodesOf(growMarkdown(NO_MARKDOWN, text, false)).map(({ type }) => type)).toEqual(['list', 'paragraph'])
    expect(nodesOf(growMarkdown(NO_MARKDOWN, `before\n\n${text}\nafter`, false))).toHaveLength(4)
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
    const kinds = parse(ANSWER).map(({ type }) => type)
    for (const state of growth(ANSWER, 1)) {
      const now = nodesOf(state).map(({ type }) => type)
      // The underlined title is a paragraph until its underline arrives.
      const same = now.filter((kind, at) => kind === kinds[at] || (kinds[at] === 'heading' && kind === 'paragraph'))
      expect(same).toEqual(now)
    }
  })

  it('closes open inline markup', () => {
    expect(render('This is **bo')).toEqual(parse('This is **bo**'))
    expect(render('Call `run(')).toEqual(parse('Call `run(`'))
    expect(render('See [the page](https://exa')).toEqual(parse('See the page'))
  })

  it('hides an open formula, and closes nothing in a complete one', () => {
    for (const open of ['Text', '- a\n- b']) {
      for (const start of ['\\', '\\(', '\\(x', '$x_', '$$', '\n\n$$\nx\n', '\n\\[\nx'])
        expect(render(`${open} ${start}`)).toEqual(parse(open))
    }
    for (const text of [
      'a \\(b_i\\) c',
      '\\(x \\in [0, 1)\\) and',
      '$a_1$ b',
      'costs $5 or',
      '`\\(` begins',
      '$HOME is the folder of the user who runs the program, which may be changed',
    ])
      expect(render(text)).toEqual(parse(text))
  })

  it('delays a table until its delimiter row is complete, and a fence until its line is', () => {
    expect(render('Look:\n\n| a | b |')).toEqual(parse('Look:'))
    expect(render('Look:\n\n| a | b |\n|---|-')).toEqual(parse('Look:'))
    expect(nodesOf(growMarkdown(NO_MARKDOWN, '| a | b |\n|---|---|\n| 1', false))[0]?.type).toBe('table')
    expect(render('Look:\n\n``')).toEqual(parse('Look:'))
    expect(render('```js\na\n``')).toEqual([{ type: 'code', lang: 'js', meta: null, value: 'a' }])
  })

  it('shows the whole text once it has ended', () => {
    const end = (text: string) => nodesOf(growMarkdown(growMarkdown(NO_MARKDOWN, text, false), text, true))
    for (const text of ['a **b', '| a |', 'x\n-', '```', '```js', '```js\na\n``', '- ']) {
      expect(end(text)).toMatchObject(parse(text) as object)
    }
  })

  it('treats HTML tags as text', () => {
    const text = '<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> and <b>bold</b> &lt;i&gt;'
    const types = JSON.stringify(nodesOf(growMarkdown(NO_MARKDOWN, text, true)))
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

  it.each([
    ['a table', `| a | b |\n|---|---|\n${'| some value | another value |\n'.repeat(600)}`, 'table'],
    [
      'a list item with code',
      `1. Run:\n\n   \`\`\`js\n${'   const a = 1\n'.repeat(900)}   \`\`\`\n\n2. Done.\n`,
      'list',
    ],
    ['a quotation', '> A line of a quotation, as long as lines are.\n'.repeat(300), 'blockquote'],
    ['emphasis', `**${'many words '.repeat(2_000)}end**\n`, 'paragraph'],
  ])('keeps %s of more than 10,000 characters whole', (_, block, type) => {
    const text = `Before.\n\n${block}\nAfter **it**.`
    expect(block.length).toBeGreaterThan(10_000)
    let state = NO_MARKDOWN
    for (let length = 0; length < text.length; length += 3_000) {
      state = growMarkdown(state, text.slice(0, length), false)
      expect(nodesOf(state).every((node, at) => node.type === ['paragraph', type, 'paragraph'][at])).toBe(true)
    }
    state = growMarkdown(state, text, true)
    expect(nodesOf(state).map((node) => node.type)).toEqual(['paragraph', type, 'paragraph'])
    expect(state.complete.map(({ source }) => source).join('')).toBe(text)
  })

  it('starts over if the text is replaced', () => {
    const state = growMarkdown(NO_MARKDOWN, 'One text.\n\nAnd more.\n\n', false)
    expect(nodesOf(growMarkdown(state, 'Another', true))).toEqual(parse('Another'))
  })

  it('takes carriage returns', () => {
    expect(parse('a\r\n\r\n- b\r\n')).toEqual(parse('a\n\n- b\n'))
  })
})

describe('deep nesting', () => {
  it.each([
    ['lists', `${'- '.repeat(3_000)}x`],
    ['quotations', `${'>'.repeat(30_000)}x`],
    ['numbers', `${'1. '.repeat(3_000)}x`],
    ['indented lists', Array.from({ length: 250 }, (_, depth) => `${'  '.repeat(depth)}- x`).join('\n')],
    ['emphasis', `${'*a **b '.repeat(1_000)}${'c** d* '.repeat(1_000)}`],
  ])('of %s is limited, and loses no text', (_, text) => {
    const nodes = parse(text)
    expect(depthOf(nodes)).toBeLessThanOrEqual(MAX_DEPTH + 2)
    const words = (all: string): string => all.replaceAll(/[^a-z]/g, '')
    expect(words(textOf(nodes))).toBe(words(text))
  })
})

function depthOf(nodes: readonly MarkdownNode[]): number {
  return Math.max(0, ...nodes.map((node) => 1 + ('children' in node ? depthOf(node.children) : 0)))
}

function textOf(nodes: readonly MarkdownNode[]): string {
  return nodes.map((node) => ('children' in node ? textOf(node.children) : 'value' in node ? node.value : '')).join('')
}
