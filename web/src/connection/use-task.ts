// useTask: something that is asked of the server by a button: whether it is under way, and what went wrong, in words.
import { useEffect, useRef, useState } from 'react'
import { refusalNote } from './refusal-note.ts'

export interface Task {
  readonly busy: boolean
  readonly problem: string | undefined
  /** Begins; while it is under way, nothing else is begun. */
  run(step: () => Promise<void>): void
}

export function useTask(): Task {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const here = useRef(true)
  useEffect(() => {
    here.current = true
    return () => {
      here.current = false
    }
  }, [])
  const run = (step: () => Promise<void>): void => {
    if (busy) return
    setBusy(true)
    setProblem(undefined)
    step().then(
      () => {
        if (here.current) setBusy(false)
      },
      (error: unknown) => {
        if (!here.current) return
        setBusy(false)
        setProblem(refusalNote(error))
      },
    )
  }
  return { busy, problem, run }
}
