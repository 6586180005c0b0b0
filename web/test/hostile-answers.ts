// Answers of 64 kB that are slow to parse or to render, or that nest deeply.
const SIZE = 64_000

function filled(piece: string, before = ''): string {
  return before + piece.repeat(Math.ceil((SIZE - before.length) / piece.length))
}

/** This text is also the message, a tool's error and a tool's result. */
export const MARKS = 'combining marks'

/** Marks of many kinds: browsers take them from several fonts. */
const MIXED_MARKS = Array.from({ length: 0x6f }, (_, at) => String.fromCodePoint(0x301 + ((at * 37) % 0x6f))).join('')

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
export const GROWING = '1. '.repeat(2_500)

/** The last paragraph of each answer. */
export const LAST = 'The last paragraph.'
