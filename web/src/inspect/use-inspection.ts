// How components read the inspection: each subscribes to the part of the state that it shows, once for each painted frame.
import { createContext, use, useSyncExternalStore } from 'react'
import type { Painted } from '../shared/frame-throttle.ts'
import type { Inspection, InspectionState } from './inspection.ts'

export interface Inspected {
  readonly inspection: Inspection
  readonly shown: Painted<InspectionState>
}

export const InspectionContext = createContext<Inspected | undefined>(undefined)

export function useInspection(): Inspection {
  return useInspected().inspection
}

/** @param select must give the same value for the same state */
export function useShown<T>(select: (state: InspectionState) => T): T {
  const { shown } = useInspected()
  return useSyncExternalStore(shown.subscribe, () => select(shown.shown))
}

function useInspected(): Inspected {
  const inspected = use(InspectionContext)
  if (inspected === undefined) throw new Error('Components of the inspector stand inside of InspectionContext.')
  return inspected
}
