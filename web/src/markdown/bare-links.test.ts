// Text in Chinese, Japanese and Korean: emphasis beside full-width punctuation, and bare links.
import { describe, expect, it } from 'vitest'
import { type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

/** A text as its marked parts: emphasis in <>, links as [text](URL). */
function marked(text: string): string {
  const show = (node: MarkdownNode): string => {
    const inner = 'children' in node ? node.children.map(show).join('') : 'value' in node ? node.value : ''
    if (node.type === 'link') return `[${inner}](${node.url})`
    return ['strong', 'emphasis', 'delete'].includes(node.type) ? `<${inner}>` : inner
  }
  return parseMarkdown(text).nodes.map(show).join('')
}

describe('emphasis', () => {
  it.each([
    ['**这是重点。**然后继续。', '<这是重点。>然后继续。'],
    ['请注意**“引号”**里面', '请注意<“引号”>里面'],
    ['**重要（必读）**的说明', '<重要（必读）>的说明'],
    ['これは**「重要」**です。', 'これは<「重要」>です。'],
    ['이것은 **중요(필독)**입니다', '이것은 <중요(필독)>입니다'],
    ['*强调。*后文 ~~删除。~~后文', '<强调。>后文 <删除。>后文'],
    ['2 * 3 * 4, snake_case_name and **"bold"** words', '2 * 3 * 4, snake_case_name and <"bold"> words'],
  ])('in %j', (text, expected) => {
    expect(marked(text)).toBe(expected)
  })
})

describe('a bare link', () => {
  it.each([
    ['详见https://example.org/a，其中**重点**是', '详见[https://example.org/a](https://example.org/a)，其中<重点>是'],
    ['見て https://example.org。次の文', '見て [https://example.org](https://example.org)。次の文'],
    ['（https://example.org/a?b=c）后', '（[https://example.org/a?b=c](https://example.org/a?b=c)）后'],
    ['www.example.org、次', '[www.example.org](http://www.example.org)、次'],
    ['写信给 a@example.org。谢谢', '写信给 [a@example.org](mailto:a@example.org)。谢谢'],
    ['https://example.org/中文/页 后', '[https://example.org/中文/页](https://example.org/中文/页) 后'],
    ['See https://example.org/a_(b), then.', 'See [https://example.org/a_(b)](https://example.org/a_(b)), then.'],
    ['https://example.org/_a_/b "x"', '[https://example.org/_a_/b](https://example.org/_a_/b) "x"'],
    ['“https://example.org/a”', '“[https://example.org/a](https://example.org/a)”'],
    ['https：//example.org and http://。', 'https：//example.org and http://。'],
  ])('in %j', (text, expected) => {
    expect(marked(text)).toBe(expected)
  })

  it('may be long', () => {
    const link = `https://${'a'.repeat(60)}.${'b'.repeat(60)}.org/${'c'.repeat(2_000)}.d`
    expect(marked(`See ${link}.`)).toBe(`See [${link}](${link}).`)
  })

  it('takes linear time to find', () => {
    // A minute before: the domain of each ended at the end of the text, and had a "_" there.
    expect(marked('_a_www.'.repeat(800))).toContain('www')
  })
})
