// What is told of the routes about a session's members.
import { type Operations, PARAMETERS, type Parameter } from './operation.ts'

const { session } = PARAMETERS
const user: Parameter = {
  in: 'path',
  name: 'user',
  description: 'Whom the member’s token names.',
  schema: { type: 'string', minLength: 1, maxLength: 256 },
}
const invite: Parameter = {
  in: 'path',
  name: 'invite',
  description: 'The id of the invitation.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
}
const CHANGING = ['session_not_found', 'contended', 'storage_full'] as const
const DONE = { 204: { description: 'It is so, and durable.' } } as const

export const MEMBER_OPERATIONS: Operations = {
  'PATCH /v1/sessions/:session': {
    id: 'renameSession',
    tag: 'sessions',
    summary: 'Names the session',
    parameters: [session],
    body: 'TitleRequest',
    answers: DONE,
    errors: [...CHANGING],
  },
  'GET /v1/sessions/:session/members': {
    id: 'listMembers',
    tag: 'sessions',
    summary: 'Who is a member, and which invitations are open',
    parameters: [session],
    answers: { 200: { description: 'The members.', json: 'MembersAnswer' } },
    errors: ['session_not_found', 'contended'],
  },
  'GET /v1/sessions/:session/readers': {
    id: 'listReaders',
    tag: 'sessions',
    summary: 'Who reads the session now, on which node, how far, and whether they keep up',
    description: 'For owners. Nodes have 300 ms to answer.',
    parameters: [session],
    answers: { 200: { description: 'The readers.', json: 'ReadersAnswer' } },
    errors: ['session_not_found', 'contended'],
  },
  'POST /v1/sessions/:session/members': {
    id: 'joinSession',
    tag: 'sessions',
    summary: 'Joins the session by an invitation',
    description: 'Who is a member already stays what they are.',
    parameters: [session],
    body: 'JoinRequest',
    answers: { 200: { description: 'Who asks is a member.', json: 'JoinAnswer' } },
    errors: ['invite_invalid', 'too_many_members', ...CHANGING],
  },
  'PUT /v1/sessions/:session/members/:user': {
    id: 'giveRole',
    tag: 'sessions',
    summary: 'Gives a member another role',
    parameters: [session, user],
    body: 'RoleRequest',
    answers: DONE,
    errors: ['member_not_found', 'last_owner', ...CHANGING],
  },
  'DELETE /v1/sessions/:session/members/:user': {
    id: 'removeMember',
    tag: 'sessions',
    summary: 'Removes a member, who is cut off at once; or leaves',
    parameters: [session, user],
    answers: DONE,
    errors: ['last_owner', ...CHANGING],
  },
  'POST /v1/sessions/:session/invites': {
    id: 'invite',
    tag: 'sessions',
    summary: 'Makes an invitation',
    description:
      'Whoever has its `token` may join, until it is over or taken back, but for those who were removed since.',
    parameters: [session],
    body: 'InviteRequest',
    answers: { 201: { description: 'The invitation. Its token is told only here.', json: 'InviteAnswer' } },
    errors: ['too_many_members', ...CHANGING],
  },
  'DELETE /v1/sessions/:session/invites/:invite': {
    id: 'revokeInvite',
    tag: 'sessions',
    summary: 'Takes an invitation back',
    parameters: [session, invite],
    answers: DONE,
    errors: [...CHANGING],
  },
}
