// How components read the inspection. Each component selects a part of the state, which changes at most once per frame.
import { perFrame } from '@parley/react'
import { createContext, use, useSyncExternalStore } from 'react'
import type { Inspection, InspectionState } from './inspection.ts'

export const InspectionContext = createContext<Inspection | undefined>(undefined)

export function useInspection(): Inspection {
  const inspection = use(InspectionContext)
  if (inspection === undefined) throw new Error('The component must be inside InspectionContext.')
  return inspection
}

/** @param select must return the same value for the same state */
export function useInspectionState<T>(select: (state: InspectionState) => T): T {
  const view = perFrame(useInspection())
  return useSyncExternalStore(view.subscribe, () => select(view.getSnapshot()))
}
