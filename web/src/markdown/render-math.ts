// RenderMath: TeX of strangers as MathML. Pure. Links, images, classes and ids are refused, and macros, sizes, nesting
// and length are limited.
import temml from 'temml'
import { type MathElement, mathTree } from './math-tree.ts'

/** Characters. The slowest formula that we know takes 40 ms. */
export const MAX_TEX = 4_000
const MAX_EXPANSIONS = 500
/** In em, and in pt. */
const MAX_SIZE: [number, number] = [30, 400]

/** @returns undefined if it is no valid TeX, or not safe */
export function renderMath(tex: string, display: boolean): MathElement | undefined {
  if (tex.length > MAX_TEX) return undefined
  const options = {
    displayMode: display,
    throwOnError: true,
    trust: false,
    maxExpand: MAX_EXPANSIONS,
    maxSize: MAX_SIZE,
  }
  try {
    return mathTree(temml.renderToString(tex, options))
  } catch {
    // A ParseError, or a RangeError for deep nesting. The page shows the source.
    return undefined
  }
}
