// GET …/readers: who reads a session now, on all nodes, for its owners. It is asked of those who read, when somebody wants to
// know; nothing is kept of it.
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
  /** Undefined: there is no other node. */
  readonly scatterGather: ScatterGather | undefined
  readonly activeReaders?: ActiveReaders | undefined
}

/** Readers of one node that are named. */
const READERS_SHOWN = 200

/** What one node tells another. */
const NodeReaders = z.object({
  node: z.string(),
  count: z.int().min(0),
  readers: z.array(SessionReader).max(READERS_SHOWN),
  /** Somebody reads it in one way or another, or did a moment ago. */
  isRead: z.boolean().optional(),
})
type NodeReaders = z.infer<typeof NodeReaders>

export function readersRoute({ service, hub, node, scatterGather, activeReaders }: InspectionPorts): Route {
  const here = async (session: string): Promise<NodeReaders> => {
    const all = await hub.readers(session)
    const readers = [...all].sort(byNeed).slice(0, READERS_SHOWN)
    const isRead = activeReaders?.isHere(session) ?? all.length > 0
    return { node, count: all.length, readers: readers.map((report) => ({ ...report, node })), isRead }
  }
  scatterGather?.answerWith(here)
  return {
    method: 'GET',
    path: '/v1/sessions/:session/readers',
    async handle(exchange) {
      const { request } = exchange
      const session = request.paramAs('session', Id)
      await service.admit(session, callerOf(request), 'manage')
      const [own, answers] = await Promise.all([here(session), scatterGather?.ask(session) ?? []])
      const others = answers.flatMap((answer) => {
        const parsed = NodeReaders.safeParse(answer)
        return parsed.success ? [parsed.data] : []
      })
      const nodes = [own, ...others]
      const answer: ReadersAnswer = {
        readers: nodes.flatMap(({ readers }) => readers),
        count: nodes.reduce((sum, { count }) => sum + count, 0),
        nodes: nodes.map((told) => told.node),
      }
      exchange.reply(200, answer, { 'Cache-Control': 'no-store' })
    },
  }
}

/** Whoever has trouble first; then whoever was here first. */
function byNeed(a: ReaderReport, b: ReaderReport): number {
  if (a.state !== b.state) return a.state === 'behind' ? -1 : 1
  return b.unsentBytes - a.unsentBytes || a.since - b.since
}
