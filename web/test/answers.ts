// Answers of the scripted model: one with every Markdown element, malicious ones, and one with long lines.

export const RICH = `# Reading a session

A session is **one durable log**; every view is *read* from it. ~~Twice~~ Once, with \`compare-and-append\`. See
[the protocol](https://example.org/protocol) or https://example.org/faq.

## How to resume

1. Attach with a cursor.
2. Handle the frames:
   - entries, in order
   - \`live\`, at the end of the log

- [x] durable
- [ ] visible

| Frame | From | Meaning |
| :---- | :--: | ------: |
| \`attach\` | client | start reading |
| \`entry\` | server | one log entry |
| \`live\` | server | caught up |

> Durable before visible: the log stores every entry before a reader receives it.

\`\`\`ts
// Reads a session from a cursor.
export async function read(session: Session, after?: string): Promise<number> {
  let count = 0
  for await (const { event } of session.entries({ after })) {
    if (event.type === 'run.output') count += event.text.length // "tokens" <b>not</b> bytes
  }
  return count
}
\`\`\`

\`\`\`
a line that is long ${'and longer '.repeat(30)}
\`\`\`

That is the whole loop.
`

/** If the page rendered one of them as more than text, it would set \`pwned\`, send a request, or open a dialog. */
export const MALICIOUS = [
  '<script>window.pwned = 1</script>',
  '<img src=x onerror="window.pwned = 1">',
  '<svg onload="window.pwned = 1"><a xlink:href="javascript:window.pwned=1"><text>svg</text></a></svg>',
  '<iframe srcdoc="<script>parent.pwned = 1</script>"></iframe>',
  '<details open ontoggle="window.pwned = 1">x</details>',
  '&lt;img src=x onerror=alert(1)&gt; &#60;script&#62;alert(1)&#60;/script&#62;',
  '[click](javascript:window.pwned=1) [click](JaVaScRiPt:window.pwned=1) [click](&#106;avascript:window.pwned=1)',
  '[click](data:text/html,<script>alert(1)</script>) [click](vbscript:x) [click]( javascript:window.pwned=1 )',
  '<javascript:window.pwned=1> [ref][j]',
  '![tracked](https://tracker.example/pixel.png) ![x](javascript:window.pwned=1)',
  '[style](https://example.org/" style="position:fixed;inset:0" onmouseover="window.pwned=1)',
  '```html onmouseover=window.pwned=1\n<script>window.pwned = 1</script>\n```',
  '```"><script>window.pwned=1</script>\ncode\n```',
  `| <b onclick=window.pwned=1>a</b> | b |\n|---|---|\n| <script>window.pwned=1</script> | [x](javascript:window.pwned=1) |`,
  '[j]: javascript:window.pwned=1',
  '$\\href{javascript:window.pwned=1}{x}$ $\\includegraphics{https://tracker.example/a.png}$ $\\class{x" onclick="y}{z}$',
  '$$\\style{position:fixed;inset:0}{x} \\kern{-900em}$$ \\(\\text{<img src=x onerror="window.pwned = 1">}\\)',
  'A note[^x].\n\n[^x]: <img src=x onerror="window.pwned = 1"> [click](javascript:window.pwned=1)',
]

/** Blocks of more than 10,000 characters, and Chinese text. */
export const LONG_BLOCKS = `| Number | Square |
| ---: | ---: |
${Array.from({ length: 400 }, (_, at) => `| the number ${at} | its square ${at * at} |\n`).join('')}
1. Run this:

   \`\`\`js
${Array.from({ length: 400 }, (_, at) => `   const number${at} = ${at} // a line\n`).join('')}   \`\`\`

2. Look at it.

**重点。**见https://example.org/a，**然后**结束。
`

/** Blocks in Arabic, Hebrew and English. */
export const RIGHT_TO_LEFT = `# عنوان

هذه فقرة مع \`const a = 1\` ثم نص.

An English paragraph.

- עברית
- English

> اقتباس

| اسم | قيمة |
| --- | --- |
| أ | 1 |

\`\`\`js
const a = 'نص'
\`\`\`
`

/** Formulas, footnotes, line breaks in cells, and images. */
export const SCIENCE = `A loan costs $5 or $10, and \\(x \\in [0, 1)\\) holds for $a_1 < b_1$, as the note[^proof] says.

$$
\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}
$$

Two lines:
\\[
\\begin{aligned}
(a + b)^2 &= a^2 + 2ab + b^2 \\\\
- c &= \\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix} \\cdot \\sum_{i=1}^{n} x_i
\\end{aligned}
\\]

| Formula | Lines |
| --- | --- |
| $E = mc^2$ | one<br>two |

Broken: $\\frac{$. Again[^proof].

[^proof]: Proved by *induction*.

![Our icon](/icon.svg) ![A chart](https://images.example/chart.svg) ![Gone](https://images.example/gone.png)
`

/** Long words, and one line with many words. */
export const LONG_LINES = `${'x'.repeat(20_000)}\n\n${'long line '.repeat(2_000)}\n\n\`${'y'.repeat(3_000)}\``
