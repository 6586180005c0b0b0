// Golden frames: every frame and event, byte for byte, in both codecs.
import { Unpackr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { codecs } from './codec.ts'
import { CLIENT_FRAME_TYPES, ClientFrame } from './command.ts'
import { EVENT_SHAPES, EVENT_TYPES } from './event.ts'
import { SERVER_FRAME_TYPES, ServerFrame } from './server-frame.ts'
import { GOLDEN } from './test/golden-frames.ts'

// By default, msgpackr decodes 64-bit integers to bigints.
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' })
const frames = GOLDEN.map((golden) => ({ ...golden, frame: JSON.parse(golden.json) as Record<string, unknown> }))

describe.each(frames)('$from $name', ({ from, json, msgpack, frame }) => {
  it('matches its schema, with every field', () => {
    const schema = from === 'client' ? ClientFrame : ServerFrame
    expect(schema.parse(frame)).toEqual(frame)
  })

  it('has these bytes as JSON', () => {
    expect(codecs.json.encode(frame)).toBe(json)
    expect(codecs.json.decode(json)).toEqual(frame)
    expect(codecs.json.decode(new TextEncoder().encode(json))).toEqual(frame)
  })

  it('has these bytes as MessagePack', () => {
    expect(hex(codecs.msgpack.encode(frame))).toBe(msgpack)
    expect(codecs.msgpack.decode(Buffer.from(msgpack, 'hex'))).toEqual(frame)
  })

  it('is decoded by msgpackr as well', () => {
    expect(unpackr.unpack(Buffer.from(msgpack, 'hex'))).toEqual(frame)
  })
})

const shapes = [
  ...ClientFrame.options.map(({ shape }) => ['client', shape] as const),
  ...ServerFrame.options.map(({ shape }) => ['server', shape] as const),
  ...EVENT_SHAPES.map((shape) => ['event', shape] as const),
]

describe('golden frames', () => {
  it.each(shapes.map(([from, shape]) => [from, shape.type.value, Object.keys(shape)] as const))(
    'of %s %s contain every field',
    (from, type, fields) => {
      const all = frames.flatMap((golden) => {
        if (from === 'event')
          return golden.frame.type === 'entry' ? [golden.frame.event as Record<string, unknown>] : []
        return golden.from === from ? [golden.frame] : []
      })
      const present = new Set(all.filter((value) => value.type === type).flatMap((value) => Object.keys(value)))
      expect(fields.filter((field) => !present.has(field))).toEqual([])
    },
  )

  it('contain every client frame', () => {
    expect(typesFrom('client')).toEqual(new Set(CLIENT_FRAME_TYPES))
  })

  it('contain every server frame', () => {
    expect(typesFrom('server')).toEqual(new Set(SERVER_FRAME_TYPES))
  })

  it('contain every event', () => {
    const events = frames.flatMap(({ frame }) =>
      frame.type === 'entry' ? [(frame.event as { type: string }).type] : [],
    )
    expect(new Set(events)).toEqual(new Set(EVENT_TYPES))
  })
})

function typesFrom(from: 'client' | 'server'): Set<unknown> {
  return new Set(frames.filter((golden) => golden.from === from).map(({ frame }) => frame.type))
}

function hex(data: string | Uint8Array): string {
  return Buffer.from(data as Uint8Array).toString('hex')
}
