// What becomes a formula, a footnote and a line break, and what stays text.
import { describe, expect, it } from 'vitest'
import { DOLLAR_TEXTS } from '../../../protocol/test/dollar-texts.ts'
import { MAX_FORMULAS, type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

/** The text, with `‹…›` around formulas and `«…»` around those in their own line. */
function shown(nodes: readonly MarkdownNode[]): string {
  return nodes.map(one).join('')
}

function one(node: MarkdownNode): string {
  switch (node.type) {
    case 'formula':
      return node.display ? `«${node.value}»` : `‹${node.value}›`
    case 'break':
      return '/'
    case 'footnoteReference':
      return `^${node.number}`
    case 'footnoteDefinition':
      return node.children.length === 0 ? '' : `[${node.number ?? '?'}×${node.uses ?? 0}: ${shown(node.children)}]`
    default:
      return 'children' in node ? shown(node.children) : 'value' in node ? node.value : ''
  }
}

function show(text: string): string {
  return shown(parseMarkdown(text).nodes)
}

/** In microseconds. */
function cpuTimeOf(work: () => unknown): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

describe('a formula', () => {
  it.each([
    ['a $x^2$ b', 'a ‹x^2› b'],
    ['\\(a_1*b*c\\) and \\[d\\] e', '‹a_1*b*c› and «d» e'],
    ['$$x$$', '«x»'],
    ['$$x$$ is in the line', '‹x› is in the line'],
    ['Text:\n\\[\nx = y\n- z\n> 0\n\\]\nmore', 'Text:«x = y\n- z\n> 0»more'],
    [
      '$$\n\\begin{aligned}\na &= b \\\\[2pt]\nc\n\\end{aligned}\n$$.',
      '«\\begin{aligned}\na &= b \\\\[2pt]\nc\n\\end{aligned}.»',
    ],
    ['\\[\nx\n\\], where $y$ is', '«x», where ‹y› is'],
    ['1. one\n\\[\nx\n\\]\n2. two', 'one«x»two'],
    ['- one\n  $$\n  x\n  $$\n  more', 'one«x»more'],
    ['> \\[\n> x\n> \\]', '«x»'],
    ['**bold $x$ text**', 'bold ‹x› text'],
    ['设$x$为', '设‹x›为'],
    ['the $n$th of $(a)$-b', 'the ‹n›th of ‹(a)›-b'],
    ["the $f(x)'$s and $x''$s", "the ‹f(x)'›s and ‹x''›s"],
    ['| a |\n|---|\n| $\\|x\\|$ |', 'a‹|x|›'],
    ['$x\ny$', '‹x\ny›'],
  ])('is in %j', (text, expected) => {
    expect(show(text)).toBe(expected)
  })

  it.each([...DOLLAR_TEXTS, '$$\n\n$$'])('is not in %j', (text) => {
    expect(show(text)).not.toMatch(/[‹«]/)
  })

  it('is not in code or after an escape', () => {
    expect(show('`$x$` and `\\(x\\)`')).toBe('$x$ and \\(x\\)')
    expect(show('\\$x$ and \\\\(x\\\\)')).toBe('$x$ and \\(x\\)')
    expect(show('```\n$x$\n```')).toBe('$x$')
  })

  it('without an end takes no more than its paragraph', () => {
    expect(show('\\[\nx **a**\n\nrest **b**')).toBe('\\[\nx **a**rest b')
    expect(show('\\(x **b**')).toBe('(x b')
  })

  it('is text beyond a number of formulas', () => {
    const text = show('$x$ '.repeat(MAX_FORMULAS + 2))
    expect(text.split('‹x›').length - 1).toBe(MAX_FORMULAS)
    expect(text.endsWith('$x$ $x$')).toBe(true)
  })

  it.each(['$a \\(b ', '\\[a\n', '$$a\n', '$a', '\\(', '*a*', 'a** b* ', '~~a'])(
    'takes time in proportion to the text: %j',
    (piece) => {
      const [short, long] = [piece.repeat(3_000 / piece.length), piece.repeat(12_000 / piece.length)]
      parseMarkdown(short)
      let [shortest, longest] = [Infinity, Infinity]
      // A quadratic parser takes 16 times as long for four times the text. Other work on the machine only adds time.
      for (let tries = 0; tries < 6 && !(longest < 9 * shortest); tries += 1) {
        longest = Math.min(
          longest,
          cpuTimeOf(() => parseMarkdown(long)),
        )
        shortest = Math.min(
          shortest,
          cpuTimeOf(() => parseMarkdown(short)),
        )
      }
      expect(longest / shortest).toBeLessThan(9)
    },
  )
})

describe('emphasis', () => {
  it('is kept in a paragraph with many markers', () => {
    const { nodes } = parseMarkdown('a *b* and **c *d* e**, '.repeat(1_000))
    const [paragraph] = nodes
    const kinds = paragraph?.type === 'paragraph' ? paragraph.children.map(({ type }) => type) : []
    expect(kinds.filter((kind) => kind === 'strong').length).toBe(1_000)
    expect(kinds.filter((kind) => kind === 'emphasis').length).toBe(1_000)
  })
})

describe('a footnote', () => {
  it('is numbered by its first reference, and moves to the end', () => {
    expect(show('A[^b] c[^a] d[^b].\n\n[^a]: one\n[^b]: two\n\n    and *more*\n\n[^c]: three\n\nEnd[^d].')).toBe(
      'A^1 c^2 d^1.End[^d].[1×2: twoand more][2×1: one][?×0: three]',
    )
  })

  // While an answer grew, `[^1]` was text, because the definition was still to come.
  it('has a mark while its text grows, and is a part of no code', () => {
    const { nodes } = parseMarkdown('A[^1] and `[^2]`, [^no mark', true)
    expect(shown(nodes)).toBe('A^undefined and [^2], [^no mark')
    expect(show('A[^1]')).toBe('A[^1]')
  })

  // The indentation of an outer one counted for all inner ones: a thousand lines with one tab each were as many levels.
  it('contains what is indented by four columns for each level', () => {
    expect(show('A[^a][^b]\n\n[^a]: one\n\n    [^b]: two\n\n        three\n\n    four')).toBe(
      'A^1^2[1×1: onefour][2×1: twothree]',
    )
  })

  it('does not nest deeply', () => {
    const footnotes = parseMarkdown(`${'[^a]:'.repeat(1_000)}x`).nodes.at(-1)
    expect(footnotes?.type === 'footnotes' && footnotes.children.length).toBeLessThan(20)
  })
})

describe('HTML', () => {
  it('is text, except line breaks in cells', () => {
    expect(show('| a<br>b | c<BR />d `<br>` |\n|---|---|\n| <b>e</b><br/>f | \\<br> |')).toBe(
      'a/bc/d <br><b>e</b>/f<br>',
    )
    expect(show('a<br>b')).toBe('a<br>b')
  })
})
