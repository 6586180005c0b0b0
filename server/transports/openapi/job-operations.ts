// What is told of the jobs' routes.
import { type Operations, PARAMETERS } from './operation.ts'

const { job, key, since, wait, ifNoneMatch, trace } = PARAMETERS

export const JOB_OPERATIONS: Operations = {
  'POST /jobs': {
    id: 'createJob',
    tag: 'jobs',
    summary: 'Begins a run and does not wait for it',
    description:
      'Without `session` the job has a session of its own. The run goes on whoever asks, and on whatever node; the same ' +
      'key gives the same job.',
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
    summary: 'How a job is, what it has put out, and its result',
    description:
      'With `wait` and `since` it is answered when something comes after the cursor; with `wait` alone, when the job has ' +
      'ended; with `If-None-Match`, when anything has changed.',
    parameters: [job, since, wait, ifNoneMatch],
    answers: {
      200: {
        description: 'The job. `Retry-After` while it has not ended.',
        json: 'Job',
        headers: ['ETag', 'Retry-After'],
      },
      304: { description: 'Nothing has changed.', headers: ['ETag', 'Retry-After'] },
    },
    errors: ['job_not_found', 'job_expired', 'contended'],
  },
  'DELETE /jobs/:id': {
    id: 'cancelJob',
    tag: 'jobs',
    summary: 'Cancels a job',
    description: 'Final once it is answered: nothing more of the run is stored. A job that has ended stays as it is.',
    parameters: [job, key],
    answers: { 200: { description: 'The job as it now is.', json: 'Job', headers: ['ETag'] } },
    errors: ['job_not_found', 'job_expired', 'command_id_reused', 'contended', 'storage_full'],
  },
}
