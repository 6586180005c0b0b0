// The names that a log can have: of sessions, and of subjects in them. Both stores put them into keys and subjects of limited length.
import type { Subject } from './ports/session-log.ts'

const NAME = /^[\x21-\x7e]{1,256}$/

/** @throws RangeError */
export function checkNames(session: string, subject?: Subject): void {
  if (!NAME.test(session) || (subject !== undefined && !NAME.test(subject))) {
    throw new RangeError('invalid session or subject name')
  }
}
