// Formats a comparison as a text table. Pure.
import type { Row } from './comparison.ts'

const NOTES = `Each interval is three standard errors wide, so that all rows together rarely show a difference that does not exist.
Reconnects and interruptions are not independent: a few people with bad networks may cause many.
`

/** @param a, b names of the groups */
export function table(rows: readonly Row[], a: string, b: string): string {
  const lines = [['', a, b, 'difference', 'interval', 'n', `${b} is`], ...rows.map(cells)]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${text.join('\n')}\n\n${NOTES}`
}

function cells({ what, unit, counts, needed, found, verdict }: Row): string[] {
  const n = counts.join(' / ')
  const name = unit === 'per 100 runs' ? `${what} ${unit}` : what
  if (found === undefined) return [name, '', '', '', '', n, `${verdict}: each group needs ${needed}`]
  const { low, high, estimate } = found.difference
  const [left, right, apart, from, to] = [found.a, found.b, estimate, low, high].map((value) => shown(value, unit))
  return [name, left ?? '', right ?? '', apart ?? '', `${from} … ${to}`, n, verdict]
}

function shown(value: number, unit: Row['unit']): string {
  switch (unit) {
    case 'seconds':
      return `${value.toFixed(3)} s`
    case 'share':
      return `${(value * 100).toFixed(1)}%`
    case 'per 100 runs':
      return (value * 100).toFixed(1)
  }
}
