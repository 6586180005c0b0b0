// Reports words and constructions that the project does not use: in documents, comments, texts and names of tests.
// The rules are in language-rules.mjs. Reads every file that git tracks or would track, or the paths on the command line.
//
//   node scripts/check-language.mjs [path ...]
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { EXCEPTIONS, RULES } from './language-rules.mjs'
import { proseOf } from './prose.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
/** Characters around a hit that an exception may look at. */
const AROUND = 40

const rules = RULES.map((rule) => ({
  ...rule,
  find: spaced(rule.find, 'g'),
  unless: rule.unless && spaced(rule.unless),
}))
const hits = listFiles(process.argv.slice(2)).flatMap(check)
// A reader such as head may leave early.
process.stdout.on('error', () => process.exit(1))
process.stdout.write(hits.map(({ file, line, text, better }) => `${file}:${line}: "${text}" → ${better}\n`).join(''))
if (hits.length > 0) {
  process.stderr.write(`${hits.length} to reword. Rules and exceptions: scripts/language-rules.mjs\n`)
  process.exitCode = 1
}

/** @param {string[]} paths files, and folders in the repository; all of it without one */
function listFiles(paths) {
  const missing = paths.find((path) => !existsSync(path))
  if (missing !== undefined) {
    process.stderr.write(`No such file or folder: ${missing}\n`)
    process.exit(2)
  }
  const isFile = (path) => statSync(path).isFile()
  const folders = paths.filter((path) => !isFile(path)).map((path) => relative(ROOT, resolve(path)) || '.')
  const files = paths.filter(isFile).map((path) => relative(ROOT, resolve(path)))
  if (files.length > 0 && folders.length === 0) return files
  const words = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...folders]
  const listed = execFileSync('git', words, { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }).split('\0')
  // A file that was moved and not committed yet is also listed at its former path.
  return [...new Set([...files, ...listed])].filter((file) => file !== '' && existsSync(resolve(ROOT, file)))
}

function check(file) {
  const prose = proseOf(file, readFileSync(resolve(ROOT, file), 'utf8'))
  if (prose === undefined) return []
  const exceptions = EXCEPTIONS.filter((exception) => exception.file.test(file))
  const found = rules
    .flatMap((rule) => [...prose.text.matchAll(rule.find)].map(({ index, 0: text }) => ({ ...rule, index, text })))
    .filter(({ unless, index, text }) => {
      const around = prose.text.slice(Math.max(0, index - AROUND), index + text.length + AROUND)
      return !unless?.test(around) && !exceptions.some((exception) => exception.text.test(text))
    })
    .sort((one, other) => one.index - other.index)
  // Two rules may find the same words: one line for them is enough.
  return found
    .filter(({ index }, at) => at === 0 || index >= found[at - 1].index + found[at - 1].text.length)
    .map(({ index, text, better }) => ({ file, line: prose.lineAt(index), text: text.replace(/\s+/g, ' '), better }))
}

/** The same pattern, in which a space also matches the end of a line. */
function spaced(pattern, flags = '') {
  return new RegExp(pattern.source.replaceAll(' ', '\\s+'), pattern.flags + flags)
}
