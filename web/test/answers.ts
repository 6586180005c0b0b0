// Answers of a model as tests want them: one with everything that Markdown has, and ones that mean harm.

export const RICH = `# Reading a session

A session is **one durable log**; what anybody sees is *read* from it. ~~Twice~~ Once, with \`compare-and-append\`. See
[the protocol](https://example.org/protocol) or https://example.org/faq.

## How it goes on

1. Attach with a cursor.
2. Take what comes:
   - entries, in order
   - \`live\`, when you have all

- [x] durable
- [ ] visible

| Frame | From | Meaning |
| :---- | :--: | ------: |
| \`attach\` | client | begin to read |
| \`entry\` | server | one of the log |
| \`live\` | server | caught up |

> Durable before visible: nothing reaches a reader that the log has not stored.

\`\`\`ts
// Reads a session from where it was left.
export async function read(session: Session, after?: string): Promise<number> {
  let count = 0
  for await (const { event } of session.entries({ after })) {
    if (event.type === 'run.output') count += event.text.length // "tokens" <b>not</b> bytes
  }
  return count
}
\`\`\`

\`\`\`
a line that goes on and on ${'and on '.repeat(30)}
\`\`\`

That is all there is to it.
`

/** Each would set \`pwned\`, fetch something, or open a dialog, were it more than text. */
export const HARM = [
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
]

/** One word without an end, and one line with many. */
export const LONG_LINES = `${'x'.repeat(20_000)}\n\n${'long line '.repeat(2_000)}\n\n\`${'y'.repeat(3_000)}\``
