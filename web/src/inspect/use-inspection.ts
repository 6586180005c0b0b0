// How components read the inspection. Each component selects a part of the state, which changes at most once per frame.
import { createContext, use, useSyncExternalStore } from 'react'
import type { FrameThrottle } from '../shared/frame-throttle.ts'
import type { Inspection, InspectionState } from './inspection.ts'

interface Provided {
  readonly inspection: Inspection
  readonly view: FrameThrottle<InspectionState>
}

export const InspectionContext = createContext<Provided | undefined>(undefined)

export function useInspection(): Inspection {
  return useProvided().inspection
}

/** @param select must return the same value for the same state */
export function useInspectionState<T>(select: (state: InspectionState) => T): T {
  const { view } = useProvided()
  return useSyncExternalStore(view.subscribe, () => select(view.state))
}

function useProvided(): Provided {
  const provided = use(InspectionContext)
  if (provided === undefined) throw new Error('The component must be inside InspectionContext.')
  return provided
}
