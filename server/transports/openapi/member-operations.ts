// The descriptions of the routes for a session's members.
import { type Operations, PARAMETERS, type Parameter } from './operation.ts'

const { session } = PARAMETERS
const user: Parameter = {
  in: 'path',
  name: 'user',
  description: 'The id of the user: the subject of their access token.',
  schema: { type: 'string', minLength: 1, maxLength: 256 },
}
const invite: Parameter = {
  in: 'path',
  name: 'invite',
  description: 'The id of the invitation.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
}
const CHANGING = ['session_not_found', 'contended', 'storage_full'] as const
const DONE = { 204: { description: 'The change is stored.' } } as const

export const MEMBER_OPERATIONS: Operations = {
  'PATCH /v1/sessions/:session': {
    id: 'renameSession',
    tag: 'sessions',
    summary: 'Rename a session',
    parameters: [session],
    body: 'TitleRequest',
    answers: DONE,
    errors: [...CHANGING],
  },
  'GET /v1/sessions/:session/members': {
    id: 'listMembers',
    tag: 'sessions',
    summary: 'List members and open invitations',
    parameters: [session],
    answers: { 200: { description: 'The members.', json: 'MembersAnswer' } },
    errors: ['session_not_found', 'contended'],
  },
  'GET /v1/sessions/:session/readers': {
    id: 'listReaders',
    tag: 'sessions',
    summary: 'List the current readers of a session',
    description: 'Owners only. Nodes that need more than 300 ms are omitted.',
    parameters: [session],
    answers: { 200: { description: 'The readers.', json: 'ReadersAnswer' } },
    errors: ['session_not_found', 'contended'],
  },
  'POST /v1/sessions/:session/members': {
    id: 'joinSession',
    tag: 'sessions',
    summary: 'Join a session with an invitation',
    description: 'A user who is already a member keeps their role.',
    parameters: [session],
    body: 'JoinRequest',
    answers: { 200: { description: 'The user is a member.', json: 'JoinAnswer' } },
    errors: ['invite_invalid', 'too_many_members', ...CHANGING],
  },
  'PUT /v1/sessions/:session/members/:user': {
    id: 'giveRole',
    tag: 'sessions',
    summary: 'Change the role of a member',
    parameters: [session, user],
    body: 'RoleRequest',
    answers: DONE,
    errors: ['member_not_found', 'last_owner', ...CHANGING],
  },
  'DELETE /v1/sessions/:session/members/:user': {
    id: 'removeMember',
    tag: 'sessions',
    summary: 'Remove a member, or leave the session',
    description: 'The server ends the subscriptions of a removed member at once.',
    parameters: [session, user],
    answers: DONE,
    errors: ['last_owner', ...CHANGING],
  },
  'POST /v1/sessions/:session/invites': {
    id: 'invite',
    tag: 'sessions',
    summary: 'Create an invitation',
    description: 'Anyone with its `token` can join until it expires or is revoked, except users removed since then.',
    parameters: [session],
    body: 'InviteRequest',
    answers: {
      201: { description: 'The invitation. Only this answer has its token.', json: 'InviteAnswer' },
    },
    errors: ['too_many_members', ...CHANGING],
  },
  'DELETE /v1/sessions/:session/invites/:invite': {
    id: 'revokeInvite',
    tag: 'sessions',
    summary: 'Revoke an invitation',
    parameters: [session, invite],
    answers: DONE,
    errors: [...CHANGING],
  },
}
