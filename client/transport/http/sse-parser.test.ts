// Tests the parser of server-sent events with the standard's examples and with every split of the bytes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SseEvent, SseParser } from './sse-parser.ts'

function parse(...chunks: readonly string[]): SseEvent[] {
  const parser = new SseParser()
  return chunks.flatMap((chunk) => parser.push(new TextEncoder().encode(chunk)))
}

describe('the SSE parser', () => {
  it('reads type and data, and gives an event without a type the default one', () => {
    expect(parse('id: k3.1\nevent: run.output\ndata: {"a":1}\n\ndata: x\n\n')).toEqual([
      { event: 'run.output', data: '{"a":1}' },
      { event: 'message', data: 'x' },
    ])
  })

  it('joins several lines of data, and removes one space after the colon', () => {
    expect(parse('data: YHOO\ndata:+2\ndata:  10\n\n')[0]?.data).toBe('YHOO\n+2\n 10')
  })

  it('returns an event for a line of data without a value, and none without data', () => {
    expect(parse('data\n\ndata\ndata\n\nevent: only\n\ndata: cut off\n').map(({ data }) => data)).toEqual(['', '\n'])
  })

  it('ignores comments, ids, retry times, unknown fields, and a byte order mark', () => {
    expect(parse('\uFEFF: heartbeat\n\nid: k.7\nretry: 1500\nfoo: bar\ndata: x\n\n').map(({ data }) => data)).toEqual([
      'x',
    ])
  })

  it('accepts LF, CR and CRLF as line ends, also if a CRLF is split', () => {
    const events = [{ event: 'e', data: 'x' }]
    for (const end of ['\n', '\r', '\r\n']) expect(parse(`event: e${end}data: x${end}${end}`, ':\n')).toEqual(events)
    expect(parse('event: e\r', '\ndata: x\r', '\n\r', '\n')).toEqual(events)
  })

  it('returns the same events for every split of the bytes', () => {
    const line = fc.oneof(
      fc.constantFrom('', '', 'data', 'data: é😀', 'event: run.ended', ': hi', 'id: k.7', 'retry: 5', 'x'),
      fc.string().map((text) => `data: ${text.replaceAll(/[\r\n]/g, ' ')}`),
    )
    const text = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 30 })
      .map((lines) => `${lines.map(([content, end]) => content + end).join('')}:\n`)
    fc.assert(
      fc.property(text, fc.array(fc.nat(400), { maxLength: 12 }), (whole, cuts) => {
        const bytes = new TextEncoder().encode(whole)
        const expected = new SseParser().push(bytes)
        const parser = new SseParser()
        const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
        const events = edges.slice(1).flatMap((edge, i) => parser.push(bytes.subarray(edges[i], edge)))
        expect(events).toEqual(expected)
      }),
    )
  })

  it('refuses an event that never ends', () => {
    const parser = new SseParser()
    const chunk = new TextEncoder().encode(`data: ${'x'.repeat(1024 * 1024)}\n`)
    expect(() => {
      for (let i = 0; i < 20; i += 1) parser.push(chunk)
    }).toThrow(SyntaxError)
  })
})
