// GET …/readers: the current readers of a session on all nodes, for its owners. Nothing is stored: each request asks
// all nodes.
import { Id, type ReadersAnswer, SessionReader } from '@parley/protocol'
import { z } from 'zod'
import type { SessionService } from '../../session/session-service.ts'
import type { ScatterGather } from '../../store/ports/scatter-gather.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { ReaderReport } from '../feed/feed.ts'
import type { Hub } from '../feed/hub.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'

export interface InspectionPorts {
  readonly service: SessionService
  readonly hub: Hub
  readonly node: string
  /** Undefined if there is only one node. */
  readonly scatterGather: ScatterGather | undefined
  readonly activeReaders?: ActiveReaders | undefined
}

/** Most readers that one node lists. */
const READERS_MAX = 200

/** The answer of one node to another. */
const NodeReaders = z.object({
  node: z.string(),
  count: z.int().min(0),
  readers: z.array(SessionReader).max(READERS_MAX),
  /** Whether the session has a reader on any transport, or had one a moment ago. */
  isRead: z.boolean().optional(),
})
type NodeReaders = z.infer<typeof NodeReaders>

export function readersRoute({ service, hub, node, scatterGather, activeReaders }: InspectionPorts): Route {
  const readersHere = async (session: string): Promise<NodeReaders> => {
    const all = await hub.readers(session)
    const readers = [...all].sort(byNeed).slice(0, READERS_MAX)
    const isRead = activeReaders?.isReadHere(session) ?? all.length > 0
    return { node, count: all.length, readers: readers.map((report) => ({ ...report, node })), isRead }
  }
  scatterGather?.respondWith(readersHere)
  return {
    method: 'GET',
    path: '/v1/sessions/:session/readers',
    async handle(exchange) {
      const { request } = exchange
      const session = request.paramAs('session', Id)
      await service.admit(session, callerOf(request), 'manage')
      const [own, answers] = await Promise.all([readersHere(session), scatterGather?.query(session) ?? []])
      const others = answers.flatMap((answer) => {
        const parsed = NodeReaders.safeParse(answer)
        return parsed.success ? [parsed.data] : []
      })
      const nodes = [own, ...others]
      const answer: ReadersAnswer = {
        readers: nodes.flatMap(({ readers }) => readers),
        count: nodes.reduce((sum, { count }) => sum + count, 0),
        nodes: nodes.map(({ node: name }) => name),
      }
      exchange.reply(200, answer, { 'Cache-Control': 'no-store' })
    },
  }
}

/** Readers that are behind come first, then those with the most unsent bytes, then the oldest. */
function byNeed(a: ReaderReport, b: ReaderReport): number {
  if (a.state !== b.state) return a.state === 'behind' ? -1 : 1
  return b.unsentBytes - a.unsentBytes || a.since - b.since
}
