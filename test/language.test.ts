// The language check: which faults it reports, and what it leaves alone.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../scripts/check-language.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'parley-language-'))
afterAll(() => rmSync(folder, { recursive: true }))

function check(name: string, lines: readonly string[]) {
  const file = join(folder, name)
  writeFileSync(file, `${lines.join('\n')}\n`)
  const { stdout, status } = spawnSync(process.execPath, [SCRIPT, file], { encoding: 'utf8' })
  const hits = stdout.split('\n').flatMap((line) => {
    const match = /:(?<line>\d+): "(?<text>.*?)" → /.exec(line)
    return match === null || !line.includes(basename(file)) ? [] : [`${match.groups?.line}: ${match.groups?.text}`]
  })
  return { hits, status }
}

describe('check-language', () => {
  it('reports a hit in a document with its line, also across the end of a line', () => {
    const { hits, status } = check('page.md', [
      '# Title',
      '',
      'A removed member is',
      'told of it.',
      '',
      '| Whoever | x |',
    ])
    expect(hits).toEqual(['3: is told', '6: Whoever'])
    expect(status).toBe(1)
  })

  it('reports a hit in a comment, a text, a template and the name of a test', () => {
    const { hits } = check('code.ts', [
      '// The run goes',
      '// on elsewhere.',
      "const text = 'It begins anew.'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the template is in the file that is checked
      'const template = `${name} comes back at ${time}`',
      "it('hands on what a door brings', () => undefined)",
      '/** A pattern with quotes: */ const quotes = /["\'`]/ // is sealed',
    ])
    expect(hits).toEqual(['1: goes on', '3: anew', '4: comes back', '5: hands on', '5: door', '6: sealed'])
  })

  it('reports a hit in the text of a page and in a comment of its styles', () => {
    expect(check('view.tsx', ['export const view = (', '  <p>', '    Not any more', '  </p>', ')']).hits).toEqual([
      '3: Not any more',
    ])
    expect(check('view.css', ['/* The list is over there: it stands. */', '.door { color: red }']).hits).toEqual([
      '1: stands',
    ])
  })

  it('leaves code, inline code, blocks of code and texts of one word alone', () => {
    const code = ["import { fold } from './fold.ts'", "const label = 'door'", 'const folded = fold(door) / desk / 2']
    expect(check('names.ts', [...code, '// `door` is the label of the metrics.'])).toEqual({ hits: [], status: 0 })
    const block = ['Run `fold`:', '', '```sh', 'parley door', '```', '', 'See [it](door.md).']
    expect(check('names.md', block)).toEqual({ hits: [], status: 0 })
  })

  it('reports a comment in a block of code', () => {
    expect(check('block.md', ['```sh', 'parley # stands here', '```']).hits).toEqual(['2: stands'])
  })

  it('accepts the exceptions of a rule', () => {
    const text = ['WAL stands for write-ahead log.', 'There is none.', 'Who can read it?', 'The promise settles.']
    expect(check('exceptions.md', text)).toEqual({ hits: [], status: 0 })
  })

  it('fails for a path that does not exist', () => {
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, join(folder, 'absent')], { encoding: 'utf8' })
    expect(stderr).toContain('No such file or folder')
    expect(status).toBe(2)
  })
})
