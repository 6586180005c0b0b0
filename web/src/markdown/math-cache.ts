// MathCache: renders formulas in a worker, several in one job, and keeps the latest, so that an answer that scrolls into
// view again has its height at once.
import { BackgroundWorker } from '../shared/background-worker.ts'
import type { MathElement } from './math-tree.ts'
import type { MathRequest } from './math-worker.ts'

/** Formulas of one job. */
const BATCH = 50
/** Formulas that are kept. */
const KEPT = 2_000

type Rendered = MathElement | undefined

const worker = new BackgroundWorker<readonly MathRequest[], readonly Rendered[]>(() => {
  // A formula without these styles can be read, too.
  import('temml/dist/Temml-Local.css').catch(() => undefined)
  return new Worker(new URL('./math-worker.ts', import.meta.url), { type: 'module' })
})
const kept = new Map<string, Rendered>()
const waiting = new Map<string, { readonly request: MathRequest; readonly done: Set<(rendered: Rendered) => void> }>()
let isScheduled = false

function keyOf({ tex, display }: MathRequest): string {
  return `${display ? 'display' : 'text'} ${tex}`
}

/** @returns undefined if it is not rendered yet, or cannot be */
export function knownMath(request: MathRequest): Rendered {
  return kept.get(keyOf(request))
}

/** @param done called once, in a later task @returns a function that withdraws the request */
export function requestMath(request: MathRequest, done: (rendered: Rendered) => void): () => void {
  const key = keyOf(request)
  if (kept.has(key)) {
    // It may have become known after the caller rendered, and the caller may still show another formula.
    const rendered = kept.get(key)
    const timer = setTimeout(() => done(rendered))
    return () => clearTimeout(timer)
  }
  const entry = waiting.get(key) ?? { request, done: new Set() }
  entry.done.add(done)
  waiting.set(key, entry)
  if (!isScheduled) setTimeout(flush)
  isScheduled = true
  return () => entry.done.delete(done)
}

function flush(): void {
  isScheduled = false
  const entries = [...waiting].filter(([, { done }]) => done.size > 0)
  waiting.clear()
  for (let at = 0; at < entries.length; at += BATCH) {
    const batch = entries.slice(at, at + BATCH)
    worker.run(
      batch.map(([, { request }]) => request),
      (reply) => {
        for (const [index, [key, { done }]] of batch.entries()) {
          const rendered = reply?.[index]
          // If the whole job failed, the next request tries again.
          if (reply !== undefined) keep(key, rendered)
          for (const each of done) each(rendered)
        }
      },
    )
  }
}

function keep(key: string, rendered: Rendered): void {
  kept.delete(key)
  kept.set(key, rendered)
  const [oldest] = kept.keys()
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest)
}
