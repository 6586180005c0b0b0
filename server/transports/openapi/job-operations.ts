// The descriptions of the jobs' routes.
import { type Operations, PARAMETERS } from './operation.ts'

const { job, key, since, wait, ifNoneMatch, trace } = PARAMETERS

export const JOB_OPERATIONS: Operations = {
  'POST /jobs': {
    id: 'createJob',
    tag: 'jobs',
    summary: 'Start a run without waiting for its end',
    description:
      'Without `session`, the server creates a new session. The run continues without clients, and every node can ' +
      'report it. A repeated request with the same key returns the same job.',
    parameters: [key, trace],
    body: 'JobRequest',
    answers: {
      202: {
        description: 'The job.',
        json: 'JobAccepted',
        headers: ['Location', 'Retry-After', 'Parley-Cursor', 'Idempotent-Replayed'],
      },
    },
    errors: [
      'run_active',
      'queue_full',
      'too_many_runs',
      'budget_exceeded',
      'model_not_allowed',
      'agent_not_found',
      'command_id_reused',
      'going_away',
      'storage_full',
    ],
  },
  'GET /jobs/:id': {
    id: 'getJob',
    tag: 'jobs',
    summary: 'Get the state, output and result of a job',
    description:
      'Answers at once by default. With `wait`, a long poll: the server answers when there is an entry after the ' +
      'cursor `since`, when the ETag no longer matches `If-None-Match`, or, without both, when the job has ended.',
    parameters: [job, since, wait, ifNoneMatch],
    answers: {
      200: {
        description: 'The job. `Retry-After` is present until the job has ended.',
        json: 'Job',
        headers: ['ETag', 'Retry-After'],
      },
      304: { description: 'The job has not changed.', headers: ['ETag', 'Retry-After'] },
    },
    errors: ['job_not_found', 'job_expired', 'contended'],
  },
  'DELETE /jobs/:id': {
    id: 'cancelJob',
    tag: 'jobs',
    summary: 'Cancel a job',
    description: 'After the answer, no further output of the run is stored. An ended job does not change.',
    parameters: [job, key],
    answers: { 200: { description: 'The current state of the job.', json: 'Job', headers: ['ETag'] } },
    errors: ['job_not_found', 'job_expired', 'command_id_reused', 'contended', 'storage_full'],
  },
}
