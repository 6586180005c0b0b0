// Answers of 64 kB that are slow to parse or to render, or that nest deeply.
const SIZE = 64_000

function filled(piece: string, before = ''): string {
  return before + piece.repeat(Math.ceil((SIZE - before.length) / piece.length))
}

/** These texts are also the message, a tool's error and a tool's result. */
export const MARKS = 'combining marks'
export const TWO_DIRECTIONS = 'one long word of two directions'
export const AROUND: ReadonlySet<string> = new Set([MARKS, TWO_DIRECTIONS])

/** Marks of many kinds: browsers take them from several fonts. */
const MIXED_MARKS = Array.from({ length: 0x6f }, (_, at) => String.fromCodePoint(0x301 + ((at * 37) % 0x6f))).join('')

/** Words of these scripts are slow to shape, or to break into lines. */
const THAI = filled('สวัสดี')
const ARABIC = filled('سلام')
const BOTH = filled('aש')

/** The page formats these. */
export const FORMATTED: Readonly<Record<string, string>> = {
  'nested lists': filled('- '),
  'nested quotations': filled('>'),
  '2,000 nested quotations': '> '.repeat(2_000),
  '3,990 nested quotations': '> '.repeat(3_990),
  '2,000 nested lists': '- '.repeat(2_000),
  '3,990 nested lists': '- '.repeat(3_990),
  '2,000 levels of emphasis': `${'*a **b '.repeat(1_000)}c${'** *'.repeat(1_000)}`,
  'lists nested by indentation': Array.from({ length: 250 }, (_, depth) => `${'  '.repeat(depth)}- x`).join('\n'),
  'nested emphasis': filled('*a **b '),
  'closed brackets': filled('[a]('),
  'link definitions': filled('[a]: b\n'),
  [MARKS]: filled('\u0301', 'a'),
  'mixed combining marks': filled(MIXED_MARKS, 'a'),
  'words of mixed combining marks': filled(`a${MIXED_MARKS.slice(0, 16)}`),
  'one long word': filled('x'),
  [TWO_DIRECTIONS]: BOTH,
  'one long word of Hebrew': filled('שלום'),
  'one long word of Thai': THAI,
  'one long word of Devanagari': filled('नमस्ते'),
  'one long word of Latin Extended': filled('ẃőřđ'),
  'one long row of families': filled('👩‍👩‍👧'),
  'a heading of one long word': `# ${ARABIC}`,
  'a link of one long word': `[${ARABIC}](https://example.org)`,
  'a list item of one long word': `- ${BOTH}`,
  'a table cell of one long word': `|a|b|\n|-|-|\n|${THAI}|x|\n`,
  'table cells of long words': `${'|a'.repeat(8)}|\n${'|-'.repeat(8)}|\n${`|${THAI.slice(0, 7_000)}`.repeat(8)}|\n`,
  'a code span of one long word': `\`${BOTH}\``,
  'a code block of one long word': `\`\`\`\n${BOTH}\n\`\`\``,
  'a code block of two directions': `\`\`\`ts\n${filled(`${'let aש = "aש"; '.repeat(6)}\n`)}\`\`\``,
  'short words of two directions with emphasis': filled('aש**aש** '),
  'a table of many columns and short rows': `${'|a'.repeat(1_500)}|\n${'|-'.repeat(1_500)}|\n${filled('|\n')}`,
  'many code blocks': filled(`\`\`\`\n${'a line of code\n'.repeat(4)}\`\`\`\n`),
  'one long word of code': `\`\`\`ts\n${filled('a')}\n\`\`\``,
  'much emphasis': filled('*a*'),
  'closing emphasis': filled('a** b* '),
  'large, deep and many formulas': filled(
    '$x$ ',
    `\\[\n\\begin{matrix}${'a&'.repeat(1_400)}\\end{matrix}\n\\]\n\n$${'\\sqrt{'.repeat(50)}${'}'.repeat(50)}$ `,
  ),
  'many beginnings of links': filled('_a_www.'),
  'a minified program': `\`\`\`js\n${filled('a+')}\n\`\`\``,
}

/** These take the parser so long that they may stay plain text. */
export const SLOW: Readonly<Record<string, string>> = {
  'many list items': filled('-\n'),
}

/** Each piece nests one level deeper. */
export const NESTS = '1. '.repeat(2_500)

/** One word, which is also announced to screen readers. */
export const LENGTHENS = BOTH.slice(0, 20_000)

/** The last paragraph of each answer. */
export const LAST = 'The last paragraph.'
