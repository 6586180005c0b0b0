// FormulaView: a formula as MathML, which the browser lays out and screen readers read; as TeX until it is rendered, or
// if it cannot be.
import { createElement, memo, type ReactNode, useEffect, useState } from 'react'
import { useRenderSlot } from '../shared/render-slots.ts'
import { knownMath, requestMath } from './math-cache.ts'
import type { MathElement, MathTree } from './math-tree.ts'

interface Props {
  readonly tex: string
  readonly display: boolean
}

export const FormulaView = memo(function FormulaView({ tex, display }: Props) {
  const [rendered, setRendered] = useState<MathElement | undefined>(() => knownMath({ tex, display }))
  useEffect(() => requestMath({ tex, display }, setRendered), [tex, display])
  return (
    <span className={display ? 'formula display' : 'formula'} dir='ltr'>
      {rendered === undefined ? <code>{tex}</code> : <Rendered tree={rendered} tex={tex} />}
    </span>
  )
})

interface RenderedProps {
  readonly tree: MathElement
  readonly tex: string
}

function Rendered({ tree, tex }: RenderedProps) {
  return useRenderSlot(sizeOf(tree)) ? element(tree, 0) : <code>{tex}</code>
}

/** The tree is not deep. */
function element(tree: MathTree, key: number): ReactNode {
  if (typeof tree === 'string') return tree
  return createElement(tree.name, { key, ...tree.props }, ...tree.children.map(element))
}

function sizeOf(tree: MathTree): number {
  return typeof tree === 'string' ? 0 : tree.children.reduce((sum, child) => sum + sizeOf(child), 1)
}
