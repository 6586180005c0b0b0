// Every frame and event, byte for byte, in both codecs.
import { unpack } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { codecs } from './codec.ts'
import { CLIENT_FRAME_TYPES, ClientFrame } from './command.ts'
import { EVENT_TYPES } from './event.ts'
import { SERVER_FRAME_TYPES, ServerFrame } from './server-frame.ts'
import { GOLDEN } from './test/golden-frames.ts'

const frames = GOLDEN.map((golden) => ({ ...golden, frame: JSON.parse(golden.json) as Record<string, unknown> }))

describe.each(frames)('$from $name', ({ from, json, msgpack, frame }) => {
  it('is the schema’s, to the last field', () => {
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

  it('is read by another decoder as well', () => {
    expect(unpack(Buffer.from(msgpack, 'hex'))).toEqual(frame)
  })
})

describe('golden frames', () => {
  it('hold every frame of a client', () => {
    expect(typesFrom('client')).toEqual(new Set(CLIENT_FRAME_TYPES))
  })

  it('hold every frame of a server', () => {
    expect(typesFrom('server')).toEqual(new Set(SERVER_FRAME_TYPES))
  })

  it('hold every event', () => {
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
