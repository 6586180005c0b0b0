// MathTree: parses the renderer's MathML into a tree of known elements, attributes and styles. Pure. The markup never
// reaches the page: a formula with anything else, or that is too large, has no tree.

/** A text, or an element of MathML. */
export type MathTree = string | MathElement

export interface MathElement {
  readonly name: string
  /** CSS classes are `className`, and inline styles `style`, as in React. */
  readonly props: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly children: readonly MathTree[]
}

const ELEMENTS: ReadonlySet<string> = new Set(
  (
    'math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow mspace msqrt mstyle msub ' +
    'msubsup msup mtable mtd mtext mtr munder munderover none'
  ).split(' '),
)
const ATTRIBUTES: ReadonlySet<string> = new Set(
  (
    'accent columnalign columnspan depth display displaystyle fence form height largeop linebreak linethickness lspace ' +
    'mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits notation rowspacing rowspan rspace ' +
    'scriptlevel separator stretchy symmetric voffset width'
  ).split(' '),
)
const STYLE = /^(?:display|padding|margin|border|width|height|color|background-color|text-align|font|white-space|math)/
/** No function, such as `url()`. */
const VALUE = /^[\w\s.,:;#%/+-]*$/
const NUMBER = /(?<![#\w.])-?[\d.]+(?=(em|ex|px|pt|%)?)/g

/** Beyond these sizes a formula would cover other parts of the page, or push them away. */
const MAX_SIZES: Readonly<Record<string, number>> = { em: 40, ex: 80 }
const MAX_SIZE = 600
/** What goes further back covers the text before it. */
const MIN_SIZES: Readonly<Record<string, number>> = { em: -3, ex: -6, pt: -30, px: -40 }

/** Elements of one formula, and their nesting. */
const MAX_ELEMENTS = 3_000
const MAX_DEPTH = 60

const TOKEN = /<(\/?)([a-z]+)((?: [\w-]+=(?:"[^"]*"|'[^']*'))*)>|&(amp|lt|gt|quot|#x27);|[^<&]+|[<&]/g
const ATTRIBUTE = / ([\w-]+)=["']([^"']*)["']/g
const CHARACTERS: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#x27': "'" }

interface Open extends MathElement {
  readonly children: MathTree[]
}

/** @returns undefined for anything that the page does not show as a formula */
export function mathTree(markup: string): MathElement | undefined {
  const root: Open = { name: '', props: {}, children: [] }
  const open = [root]
  let count = 0
  for (const [token, end, name, attributes = '', character] of markup.matchAll(TOKEN)) {
    const parent = open.at(-1) ?? root
    if (name === undefined) {
      const text = character === undefined ? token : (CHARACTERS[character] ?? '')
      const last = parent.children.at(-1)
      if (typeof last === 'string') parent.children[parent.children.length - 1] = last + text
      else parent.children.push(text)
    } else if (end === '/') {
      open.pop()
    } else {
      const props = propsOf(attributes)
      count += 1
      if (!ELEMENTS.has(name) || props === undefined || count > MAX_ELEMENTS || open.length > MAX_DEPTH)
        return undefined
      const element: Open = { name, props, children: [] }
      parent.children.push(element)
      open.push(element)
    }
  }
  const [math] = root.children
  return typeof math === 'object' && math.name === 'math' ? math : undefined
}

/** Leaves unknown attributes out. @returns undefined for a value that is not safe */
function propsOf(attributes: string): MathElement['props'] | undefined {
  const props: Record<string, MathElement['props'][string]> = {}
  for (const [, name = '', value = ''] of attributes.matchAll(ATTRIBUTE)) {
    if (!isSafe(value)) return undefined
    if (name === 'class') props.className = value
    else if (name === 'style') props.style = stylesOf(value)
    else if (ATTRIBUTES.has(name)) props[name] = value
  }
  return props
}

function stylesOf(css: string): Readonly<Record<string, string>> {
  const styles = css.split(';').map((style) => style.split(':'))
  const known = styles.filter(([name = '', value]) => STYLE.test(name) && value !== undefined)
  return Object.fromEntries(known.map(([name = '', value = '']) => [camelCase(name), value]))
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function isSafe(value: string): boolean {
  if (!VALUE.test(value)) return false
  return [...value.matchAll(NUMBER)].every(([size, unit = '']) => {
    return Number(size) >= (MIN_SIZES[unit] ?? -MAX_SIZE) && Number(size) <= (MAX_SIZES[unit] ?? MAX_SIZE)
  })
}
