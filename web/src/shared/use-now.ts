// useNow: the current time, updated every second while `ticks` is true. It never reads the wall clock of the device, which may
// be wrong or change at any time.
import { SYSTEM_CLOCK } from '@parley/client'
import { useEffect, useState } from 'react'

/**
 * @param clock for times that the server names, the client; by default the clock of the client's own times
 * @returns Unix milliseconds
 */
export function useNow(ticks: boolean, clock: { now(): number } = SYSTEM_CLOCK): number {
  const [now, setNow] = useState(() => clock.now())
  useEffect(() => {
    if (!ticks) return undefined
    const update = (): void => setNow(clock.now())
    update()
    const timer = setInterval(update, 1_000)
    return () => clearInterval(timer)
  }, [ticks, clock])
  return now
}
