// How components read what may still be used.
import { useSyncExternalStore } from 'react'
import { useRoom } from '../connection/use-chat.ts'
import type { AllowanceState } from './allowance.ts'

export function useAllowance(): AllowanceState {
  const { allowance } = useRoom()
  return useSyncExternalStore(allowance.subscribe, () => allowance.state)
}
