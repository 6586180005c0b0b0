// Writes a software bill of materials (CycloneDX) of the server's production dependencies, by the lock file. `npm sbom --omit dev`
// leaves out each package that any other workspace needs for development, such as zod and jose.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const options = [
  '--package-lock-only',
  '--sbom-format',
  'cyclonedx',
  '--sbom-type',
  'application',
  '--workspace',
  'server',
]
const bill = JSON.parse(execFileSync('npm', ['sbom', ...options], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 }))

/** The workspaces that are part of the server: npm lists their packages for development, too. */
const workspaces = new Map(
  ['server', 'protocol'].map((folder) => {
    const { name, dependencies = {} } = JSON.parse(readFileSync(`${root}/${folder}/package.json`, 'utf8'))
    return [name, new Set(Object.keys(dependencies))]
  }),
)
const needs = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
const nameOf = (ref) => ref.slice(0, ref.lastIndexOf('@'))

const needed = new Set([...needs.keys()].filter((ref) => nameOf(ref) === '@parley/server'))
for (const ref of needed) {
  const production = workspaces.get(nameOf(ref))
  for (const next of needs.get(ref) ?? []) {
    if (production === undefined || production.has(nameOf(next))) needed.add(next)
  }
}

/** Packages of which another workspace needs a version for development count as optional. */
const isDevelopment = ({ name }) => name === 'cdx:npm:package:development'
bill.components = bill.components
  .filter((component) => needed.has(component['bom-ref']))
  .map((component) => ({
    ...component,
    ...(component.properties.some(isDevelopment) ? { scope: 'required' } : {}),
    properties: component.properties.filter((property) => !isDevelopment(property)),
  }))
const top = bill.metadata.component['bom-ref']
bill.dependencies = bill.dependencies
  .filter(({ ref }) => needed.has(ref) || ref === top)
  .map(({ ref, dependsOn }) => ({
    ref,
    dependsOn: ref === top ? [...needed].slice(0, 1) : dependsOn.filter((next) => needed.has(next)),
  }))
process.stdout.write(`${JSON.stringify(bill, undefined, 2)}\n`)
