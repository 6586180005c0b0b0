// Makes a PNG of a page smaller: at most 256 colours, by index. A page has few colours and their mixtures at the edges of
// letters, so nobody sees the difference, and the file has a third of its size.
import { crc32, deflateSync, inflateSync } from 'node:zlib'

const MAX_COLOURS = 256

/**
 * @param {Buffer} png of 8 bits a channel, without interlacing, as Chromium writes it
 * @returns {Buffer}
 */
export function withPalette(png) {
  const { width, height, pixels } = decode(png)
  const counts = new Map()
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1)
  const palette = choose(counts)
  const indexes = new Map([...counts.keys()].map((colour) => [colour, nearest(palette, colour)]))
  const rows = Buffer.alloc((width + 1) * height)
  for (let at = 0; at < pixels.length; at += 1) {
    rows[Math.floor(at / width) * (width + 1) + 1 + (at % width)] = indexes.get(pixels[at])
  }
  const header = Buffer.from(png.subarray(16, 29))
  header.set([8, 3, 0, 0, 0], 8)
  const colours = Buffer.from(palette.flatMap((colour) => channels(colour)))
  const chunks = [
    ['IHDR', header],
    ['PLTE', colours],
    ['IDAT', deflateSync(rows, { level: 9, memLevel: 9 })],
    ['IEND', Buffer.alloc(0)],
  ]
  return Buffer.concat([png.subarray(0, 8), ...chunks.map(([type, data]) => chunk(type, data))])
}

/** The most frequent colours, with as much distance between each two as it takes to stay below the limit. */
function choose(counts) {
  const byCount = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour)
  if (byCount.length <= MAX_COLOURS) return byCount
  for (let apart = 4; ; apart *= 1.3) {
    const palette = []
    for (const colour of byCount) {
      if (palette.every((other) => distance(other, colour) >= apart)) palette.push(colour)
      if (palette.length > MAX_COLOURS) break
    }
    if (palette.length <= MAX_COLOURS) return palette
  }
}

function nearest(palette, colour) {
  let best = 0
  for (let at = 1; at < palette.length; at += 1) {
    if (distance(palette[at], colour) < distance(palette[best], colour)) best = at
  }
  return best
}

function distance(a, b) {
  const [red, green, blue] = [(a >> 16) - (b >> 16), ((a >> 8) & 255) - ((b >> 8) & 255), (a & 255) - (b & 255)]
  return red * red + green * green + blue * blue
}

function channels(colour) {
  return [colour >> 16, (colour >> 8) & 255, colour & 255]
}

/** @returns pixels as 0xRRGGBB */
function decode(png) {
  const [width, height, colourType] = [png.readUInt32BE(16), png.readUInt32BE(20), png[25]]
  if (png[24] !== 8 || png[28] !== 0 || (colourType !== 2 && colourType !== 6)) throw new Error('not a PNG of Chromium')
  const parts = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)))
  }
  const bytes = inflateSync(Buffer.concat(parts))
  const [size, stride] = [colourType === 6 ? 4 : 3, width * (colourType === 6 ? 4 : 3)]
  const pixels = new Uint32Array(width * height)
  let above = Buffer.alloc(stride)
  for (let y = 0; y < height; y += 1) {
    const filter = bytes[y * (stride + 1)]
    const row = bytes.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1))
    for (let x = 0; x < stride; x += 1) {
      const [left, up, corner] = [x < size ? 0 : row[x - size], above[x], x < size ? 0 : above[x - size]]
      row[x] += [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]
    }
    for (let x = 0; x < width; x += 1) pixels[y * width + x] = row.readUIntBE(x * size, 3)
    above = row
  }
  return { width, height, pixels }
}

/** The PNG specification, section 9.4. */
function paeth(left, up, corner) {
  const guess = left + up - corner
  const [toLeft, toUp, toCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
  if (toLeft <= toUp && toLeft <= toCorner) return left
  return toUp <= toCorner ? up : corner
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, check])
}
