// Times as people write them: a moment, or how long ago it was.

const AGO = /^(\d{1,6})(s|m|h|d)(?: ago)?$/
const UNIT_S = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** @param now Unix seconds @returns Unix seconds @throws Error for what is no time */
export function secondsOf(text: string, now: number): number {
  if (text === 'now') return now
  const [, count, unit] = AGO.exec(text) ?? []
  if (unit !== undefined) return now - Number(count) * UNIT_S[unit as keyof typeof UNIT_S]
  const moment = Date.parse(text) / 1000
  if (Number.isNaN(moment))
    throw new Error(`${text} is no time: write it as 2026-11-23T08:00Z, or as 3h for three hours ago`)
  return moment
}
