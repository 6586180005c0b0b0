// The description of the AG-UI endpoint. Its events are those of that protocol.
import type { Operation, Operations } from './operation.ts'

const AG_UI: Omit<Operation, 'id' | 'summary'> = {
  tag: 'agui',
  description:
    'The AG-UI protocol over server-sent events. `threadId` is a session. The same `runId` again follows the run again, from its ' +
    'beginning or after the event in `Last-Event-ID`.',
  parameters: [
    {
      in: 'header',
      name: 'Last-Event-ID',
      description: 'The id of the last event that the client has of this run.',
      schema: { type: 'string', pattern: '^\\d{1,9}\\.\\d{1,9}$' },
    },
  ],
  body: 'AgUiRequest',
  answers: {
    200: {
      description: 'The events of the run.',
      forms: { 'text/event-stream': 'Server-sent events, each with one AG-UI event.' },
    },
  },
  errors: [
    'session_deleted',
    'run_not_found',
    'agent_not_found',
    'model_not_allowed',
    'command_id_reused',
    'queue_full',
    'too_many_runs',
    'budget_exceeded',
    'call_not_found',
    'call_ended',
    'approval_not_needed',
    'already_decided',
    'question_not_found',
    'question_closed',
    'invalid_answer',
    'going_away',
    'contended',
    'storage_full',
  ],
}

export const AG_UI_OPERATIONS: Operations = {
  'POST /v1/ag-ui': { id: 'runAgUi', summary: 'Run the default agent for an AG-UI client', ...AG_UI },
  'POST /v1/ag-ui/:agent': {
    id: 'runAgUiAgent',
    summary: 'Run a configured agent for an AG-UI client',
    ...AG_UI,
    parameters: [
      ...(AG_UI.parameters ?? []),
      { in: 'path', name: 'agent', description: 'The name of the agent.', schema: { type: 'string', maxLength: 128 } },
    ],
  },
}
