// useTask: the state of a button's request: whether it runs, and why it failed.
import { useEffect, useRef, useState } from 'react'
import { errorNote } from './error-note.ts'

export interface Task {
  readonly busy: boolean
  readonly problem: string | undefined
  /** Does nothing while a step runs. */
  run(step: () => Promise<void>): void
}

export function useTask(): Task {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const mounted = useRef(true)
  useEffect(() => {
    mounted.current = true
    return () => {
      mounted.current = false
    }
  }, [])
  const run = (step: () => Promise<void>): void => {
    if (busy) return
    setBusy(true)
    setProblem(undefined)
    step().then(
      () => {
        if (mounted.current) setBusy(false)
      },
      (error: unknown) => {
        if (!mounted.current) return
        setBusy(false)
        setProblem(errorNote(error))
      },
    )
  }
  return { busy, problem, run }
}
