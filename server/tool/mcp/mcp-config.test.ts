// The configuration of MCP servers: its form, the names of their tools, and claims in their headers.
import { expect, it } from 'vitest'
import { headersWith } from '../claim-headers.ts'
import { claimsIn, McpServersForm, nameProblems, serverOf, toolNameOf } from './mcp-config.ts'

const FILES = { command: 'files' }
const MAIL = {
  url: 'https://mail.example/mcp',
  headers: { Authorization: 'Bearer {claim:mail_token}', 'X-T': '{claim:t}/{claim:t}' },
}

it('has the form that other MCP hosts use, and names what does not fit', () => {
  expect(
    McpServersForm.safeParse({ files: { ...FILES, args: ['/'], env: { A: 'b' } }, mail: { ...MAIL, type: 'http' } })
      .success,
  ).toBe(true)
  const wrong = [
    { url: 'ftp://x' },
    { command: '' },
    { url: MAIL.url, timeoutMs: 0 },
    { ...FILES, url: MAIL.url },
    { ...FILES, toolz: [] },
  ]
  for (const server of wrong) expect(McpServersForm.safeParse({ server }).success, JSON.stringify(server)).toBe(false)
  expect(McpServersForm.safeParse({ 'a b': FILES }).success).toBe(false)
  expect(McpServersForm.safeParse({ mail: { ...MAIL, headers: { A: 'two\r\nlines: x' } } }).success).toBe(false)
})

it('maps names of tools to ours by a rule that depends on nothing else', () => {
  expect(toolNameOf('files', 'read_file')).toBe('files_read_file')
  expect(toolNameOf('files', 'read.file')).toBe('files_read_file_dd32cdf5')
  expect(toolNameOf('files', 'read/file')).not.toBe(toolNameOf('files', 'read.file'))
  const long = toolNameOf('files', `${'x'.repeat(100)}1`)
  expect(long).toHaveLength(64)
  expect(long).not.toBe(toolNameOf('files', `${'x'.repeat(100)}2`))
  expect(serverOf({ files: FILES, mail: MAIL }, long)).toBe('files')
  expect(serverOf({ files: FILES }, 'filesystem')).toBe(undefined)
})

it('finds ambiguous names', () => {
  expect(nameProblems({ git: FILES, git_hub: FILES, github: FILES }, ['clock'])).toEqual([
    'the names git and git_hub are ambiguous: rename one of them',
  ])
  expect(nameProblems({ git: FILES }, ['git_log', 'gitlog'])).toEqual([
    'the tool git_log has a name of the server git: rename it',
  ])
})

it('puts claims into headers, and nothing that breaks a header', () => {
  expect(claimsIn({ files: FILES, mail: MAIL })).toEqual(['mail_token', 't'])
  expect(headersWith(MAIL.headers, { mail_token: '$&', t: 'x' })).toEqual({
    headers: { Authorization: 'Bearer $&', 'X-T': 'x/x' },
  })
  expect(headersWith(MAIL.headers, { t: 'x' })).toEqual({ missing: 'mail_token' })
  expect(headersWith(MAIL.headers, { mail_token: 'a\r\nHost: b', t: 'x' })).toEqual({ missing: 'mail_token' })
  expect(headersWith({ A: '{claim:constructor}' }, {})).toEqual({ missing: 'constructor' })
})

it.each([
  [{ url: 'https://mail.example/{claim:user}/mcp' }],
  [{ url: 'https://mail.example/mcp?key=%7Bclaim:key%7D' }],
  [{ url: MAIL.url, headers: { Authorization: 'Bearer {claims:mail_token}' } }],
  [{ url: MAIL.url, headers: { Authorization: 'Bearer {claim: }x{Claim:mail_token}' } }],
  [{ url: MAIL.url, headers: { Authorization: 'Bearer {claim:mail_token' } }],
  [{ command: 'mail', env: { TOKEN: '{claim:mail_token}' } }],
])('refuses a claim that would be sent as it is: %j', (server) => {
  expect(nameProblems({ mail: server }, [])).toEqual([expect.stringMatching(/^the server mail has a claim/)])
})

it('takes other braces', () => {
  expect(nameProblems({ mail: { ...MAIL, headers: { ...MAIL.headers, 'X-Json': '{"a":1}' } } }, [])).toEqual([])
})
