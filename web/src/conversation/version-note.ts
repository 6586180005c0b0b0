// What is said of versions, for those who do not see that the conversation changed from some place on. Pure.
import type { TurnView } from '@parley/client'

/** @returns undefined where no other version of a message is shown than before */
export function versionNote(before: readonly TurnView[], now: readonly TurnView[]): string | undefined {
  const at = now.findIndex((turn, place) => turn.message.id !== before[place]?.message.id)
  const turn = now[at]
  const old = before[at]
  if (turn === undefined || old === undefined || old.after !== turn.after) return undefined
  return turn.versions.includes(old.message.id) ? `${versionName(turn)} is shown.` : undefined
}

export function versionName({ message, versions }: Pick<TurnView, 'message' | 'versions'>): string {
  return `Version ${versions.indexOf(message.id) + 1} of ${versions.length}`
}
