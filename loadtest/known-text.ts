// What the demo model says to `/demo count=N`, so that every byte of an answer can be checked: `0 1 2 …`.

let numbers = '0'
const ends: number[] = [0, 1]

/** @param count tokens, from 0 */
export function knownText(count: number): string {
  while (ends.length <= count) {
    numbers += ` ${ends.length - 1}`
    ends.push(numbers.length)
  }
  return numbers.slice(0, ends[count])
}
