// The guide to OpenAI clients names the versions that `npm run test:clients` installs.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(`${root}/${path}`, 'utf8')

it('names the tested version of every client', () => {
  const manifests = ['python/requirements.txt', 'npm/package.json', 'go/go.mod', 'rust/Cargo.toml', 'java/pom.xml']
  // Names and versions with one space between them, whatever the manifest writes there.
  const installed = manifests
    .map((path) => read(`test/clients/${path}`))
    .join('\n')
    .replaceAll(
      /<\/artifactId>\s*<version>|==|(?:\[[a-z,-]+\])|": "(?:npm:)?|@(?=\d)| = (?:\{ version = )?"=?| v(?=\d)/g,
      ' ',
    )
    .replaceAll(/ +/g, ' ')
  const named = [...read('docs/guides/openai-clients.md').matchAll(/`([^`\s]+)` (\d+\.\d+\.\d+)/g)]
  expect(named.length).toBeGreaterThan(15)
  expect(named.map(([, name, version]) => `${name} ${version}`).filter((name) => !installed.includes(name))).toEqual([])
})
