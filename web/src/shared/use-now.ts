// useNow: the current time, updated every second while `ticks` is true.
import { useEffect, useState } from 'react'

/** @returns Unix milliseconds */
export function useNow(ticks: boolean): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    if (!ticks) return undefined
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [ticks])
  return now
}
