// GET /v1/sessions/{session}: the current state of a session, for clients that don't want to replay the log: the newest
// messages and answers, active and queued runs, and the cursor from which to continue reading.
import { formatCursor, Id, ReplyError, type SessionSnapshot, type SnapshotMessage } from '@parley/protocol'
import { catchUp } from '../../session/catch-up.ts'
import { jobState, textOf } from '../../session/run-report.ts'
import type { CallState, QuestionState } from '../../session/state/call-state.ts'
import { parentAt } from '../../session/state/message-tree.ts'
import { markUnseen, toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { activeRun, type MessageState, type SessionState } from '../../session/state/session-state.ts'
import { effectiveTool } from '../../session/state/tool-declarations.ts'
import { hasEarlier } from '../../session/transcript/history-loader.ts'
import { digest } from '../http/command-id.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

/** Approximate limit of a snapshot's messages, in bytes of JSON. */
const SNAPSHOT_BYTES = 1024 * 1024

export function snapshotRoute(ports: SessionHttpPorts): Route {
  const { service, stores, sessions, presence } = ports
  return {
    method: 'GET',
    path: '/v1/sessions/:session',
    async handle(exchange) {
      const { request } = exchange
      const id = request.paramAs('session', Id)
      await sessions.with(id, async (session) => {
        // Before the check of access, so that a member whom another node has just removed reads nothing.
        await catchUp(stores, session)
        await service.admit(id, callerOf(request), 'read')
        const { state } = session
        if (state.seq === 0) throw new ReplyError('session_not_found')
        const cursor = formatCursor(stores.log.epoch, state.seq)
        const members = presence.members(id)
        // Presence is not in the log, so the cursor alone does not identify the snapshot.
        const etag = `"${cursor}${members.length === 0 ? '' : `+${digest(JSON.stringify(members))}`}"`
        const headers = { ETag: etag, 'Cache-Control': 'private, no-cache' }
        if (request.header('if-none-match') === etag) {
          exchange.reply(304, undefined, headers)
          return
        }
        const active = activeRun(state)
        const isCut = await hasEarlier(stores, id, state.messages[0]?.seq ?? Number.POSITIVE_INFINITY)
        const { messages, cut } = messagesOf(state, isCut)
        const snapshot: SessionSnapshot = {
          session: id,
          cursor,
          ...(state.title === undefined ? {} : { title: state.title }),
          messages,
          earlier: cut || isCut,
          ...(active === undefined ? {} : { active: active.id }),
          queued: state.open.filter((run) => run !== active).map((run) => run.id),
          members,
          tools: [...state.tools.keys()].flatMap((name) => effectiveTool(state, name) ?? []),
        }
        exchange.reply(200, snapshot, headers)
      })
    },
  }
}

/**
 * The newest messages with their runs and answers.
 * @param isCut whether the session has messages before those in the state
 */
export function messagesOf(state: SessionState, isCut: boolean): { messages: SnapshotMessage[]; cut: boolean } {
  const runs = new Map<string, RunRecord[]>()
  for (const run of [...state.ended.values(), ...state.open]) {
    runs.set(run.message, [...(runs.get(run.message) ?? []), run])
  }
  const newest: SnapshotMessage[][] = []
  let bytes = 0
  for (let at = state.messages.length - 1; at >= 0; at -= 1) {
    const { event, time } = state.messages[at] as MessageState
    const { id, author, content, run } = event
    const parent = parentAt(state.messages, at) ?? (isCut && event.parent === undefined ? undefined : null)
    const place = parent === undefined ? {} : { parent }
    const message: SnapshotMessage = { role: 'user', id, author, content, time, run, ...place }
    const group = [message, ...(runs.get(id) ?? []).map((record) => answerOf(state, record))]
    bytes += JSON.stringify(group).length
    if (bytes > SNAPSHOT_BYTES && newest.length > 0) return { messages: newest.reverse().flat(), cut: true }
    newest.push(group)
  }
  return { messages: newest.reverse().flat(), cut: false }
}

function answerOf(state: SessionState, record: RunRecord): SnapshotMessage {
  const parts = toParts(record.output)
  const output = record.seen === undefined ? parts : markUnseen(parts, record.seen)
  const { ended, model } = record
  return {
    role: 'assistant',
    run: record.id,
    message: record.message,
    state: jobState({ state, record }),
    output,
    text: textOf(output),
    calls: [...record.calls.values()].map(callOf),
    next: record.next,
    ...(model === undefined ? {} : { model }),
    ...(ended === undefined ? {} : { usage: ended.usage }),
    ...(ended?.cut === undefined ? {} : { cut: ended.cut }),
    ...(ended?.error === undefined ? {} : { error: ended.error }),
  }
}

function callOf({ id, name, input, where, approval, decision, claim, questions, result }: CallState) {
  return {
    call: id,
    name,
    input,
    where,
    approval,
    ...(decision === undefined ? {} : { decision }),
    ...(questions.length === 0 ? {} : { questions: questions.map(questionOf) }),
    ...(claim === undefined ? {} : { connection: claim.connection }),
    ...(result?.output === undefined ? {} : { output: result.output }),
    ...(result?.error === undefined ? {} : { error: result.error }),
  }
}

function questionOf({ answer, ...asked }: QuestionState) {
  const { command: _, ...given } = answer ?? {}
  return { ...asked, ...given }
}
