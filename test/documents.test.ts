// Every document: its links and anchors resolve, the scripts and files that it names exist, and the README stays short.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const OUTSIDE = new Set(['node_modules', 'dist', 'data', 'artifacts', '.git', '.cache'])
const README_LINES = 150
/** Scripts of a reader's own project, which guides name. */
const READERS_SCRIPTS = new Set(['dev'])

interface Document {
  /** From the root. */
  readonly path: string
  readonly text: string
  /** The text without code, in which nothing is a link or a heading. */
  readonly prose: string
}

const documents = [...markdownFiles(root)].map((path): Document => {
  const text = readFileSync(join(root, path), 'utf8')
  return { path, text, prose: text.replaceAll(/^( *)(```|~~~).*?^\1\2.*?$/gms, '') }
})

describe('the README', () => {
  it(`has at most ${README_LINES} lines`, () => {
    const readme = documents.find(({ path }) => path === 'README.md')
    expect(readme?.text.trimEnd().split('\n').length).toBeLessThanOrEqual(README_LINES)
  })
})

describe.each(documents)('$path', ({ path, text, prose }) => {
  it('links only to files and headings that exist', () => {
    expect(linksOf(prose).filter((link) => !resolves(link, path))).toEqual([])
  })

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
    const named = [...text.matchAll(/\bnpm run (?:--?\S+ )*([a-z][\w:-]*)/g)].map(([, name]) => name ?? '')
    expect(named.filter((name) => !Object.hasOwn(scripts, name) && !READERS_SCRIPTS.has(name))).toEqual([])
  })

  it('names only source files that exist', () => {
    const folders = 'ai-sdk|bench|client|deploy|docs|examples|loadtest|protocol|react|scripts|server|test|web'
    const names = new RegExp(`\`((?:${folders})/[\\w./-]+\\.[a-z]+)\``, 'g')
    const named = [...prose.matchAll(names)].map(([, name]) => name ?? '')
    const isBuilt = (name: string): boolean => name.includes('/dist/')
    expect(named.filter((name) => !isBuilt(name) && !existsSync(join(root, name)))).toEqual([])
  })
})

/** @returns targets of links and pictures, in Markdown and in HTML */
function linksOf(prose: string): string[] {
  const withoutCode = prose.replaceAll(/(`+)[^`]+?\1/g, '')
  const inline = withoutCode.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)
  const defined = withoutCode.matchAll(/^\[[^\]]+\]: (\S+)/gm)
  const html = withoutCode.matchAll(/\b(?:src|srcset|href)="([^"]+)"/g)
  return [...inline, ...defined, ...html].map(([, target]) => target ?? '')
}

function resolves(link: string, from: string): boolean {
  if (/^[a-z]+:/.test(link)) return true
  const [file = '', anchor] = link.split('#')
  const path = file === '' ? from : relative(root, join(root, dirname(from), decodeURIComponent(file)))
  if (!existsSync(join(root, path))) return false
  if (anchor === undefined) return true
  const target = documents.find((document) => document.path === path)
  return target !== undefined && anchorsOf(target.prose).has(anchor)
}

/** The anchors that GitHub gives the headings of a document. */
function anchorsOf(prose: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of prose.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const slug = heading
      .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-')
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  for (const [, id = ''] of prose.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id)
  return anchors
}

function* markdownFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!OUTSIDE.has(entry.name)) yield* markdownFiles(path)
    } else if (entry.name.endsWith('.md')) yield relative(root, path)
  }
}
