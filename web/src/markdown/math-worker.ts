// MathWorker: the worker that renders formulas. It contains Temml, which the page loads with the first formula.
import { serve } from '../shared/background-worker.ts'
import type { MathElement } from './math-tree.ts'
import { renderMath } from './render-math.ts'

export interface MathRequest {
  readonly tex: string
  readonly display: boolean
}

/** Replies with undefined for each formula that stays as its source. */
serve((formulas: readonly MathRequest[]): readonly (MathElement | undefined)[] =>
  formulas.map(({ tex, display }) => renderMath(tex, display)),
)
