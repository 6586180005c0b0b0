// VersionNote: announces a switch to another version of a message, for users who cannot see it. Pure.
import type { TurnView } from '@parley/client'

/** @returns undefined if the conversation shows the same versions as before */
export function versionNote(before: readonly TurnView[], now: readonly TurnView[]): string | undefined {
  const at = now.findIndex((turn, index) => turn.message.id !== before[index]?.message.id)
  const turn = now[at]
  const old = before[at]
  if (turn === undefined || old === undefined || old.after !== turn.after) return undefined
  return turn.versions.includes(old.message.id) ? `Showing ${versionName(turn).toLowerCase()}.` : undefined
}

export function versionName({ message, versions }: Pick<TurnView, 'message' | 'versions'>): string {
  return `Version ${versions.indexOf(message.id) + 1} of ${versions.length}`
}
