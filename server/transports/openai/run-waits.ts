// What people have to decide or answer before a response continues. OpenAI's API has no place for it: it is in the field `parley`, which
// its clients ignore. Only a remote agent, or a run of another transport, waits for people: requests here offer no tools of the server.
import type { FoundRun } from '../../session/run-report.ts'
import { interruptsOf } from '../ag-ui/interrupts.ts'

export interface Waits {
  readonly parley?: { readonly session: string; readonly waiting: readonly Wait[] }
}

interface Wait {
  readonly call: string
  /** Only of a question: its id. Otherwise the call needs an approval. */
  readonly question?: string
  readonly message: string
  /** ISO 8601. Then the call fails. */
  readonly expiresAt?: string
}

/** @returns an empty object for a run that waits for nobody */
export function waitsOf(session: string, { state, record }: FoundRun): Waits {
  const waiting = interruptsOf(state, record.id).map(({ id, message, expiresAt }): Wait => {
    const [call = '', question] = id.split('.')
    return {
      call,
      ...(question === undefined ? {} : { question }),
      message,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    }
  })
  return waiting.length === 0 ? {} : { parley: { session, waiting } }
}
