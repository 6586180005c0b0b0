#!/usr/bin/env node
// npm run loadtest: loads one or several nodes over all transports, checks every stream, and reports latency and cost
// per transport.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { runLoadTest } from './load-test.ts'
import { HELP, type Options, parseOptions } from './options.ts'
import { html } from './report/html.ts'
import { table } from './report/table.ts'

const EXIT = { faults: 1, usage: 2, broken: 3 } as const
const args = process.argv.slice(2)
const say = (text: string) => process.stdout.write(text)

const options = read()
if (options !== undefined) {
  const [cpu] = cpus()
  const machine = `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`
  try {
    const report = await runLoadTest(options, `npm run loadtest -- ${args.join(' ')}`, machine, say)
    mkdirSync(options.out, { recursive: true })
    writeFileSync(join(options.out, 'report.json'), `${JSON.stringify(report, undefined, 1)}\n`)
    writeFileSync(join(options.out, 'report.html'), html(report))
    say(`\n${table(report)}\n\n${join(options.out, 'report.html')}, ${join(options.out, 'report.json')}\n`)
    process.exitCode = report.faultless ? 0 : EXIT.faults
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = EXIT.broken
  }
}

function read(): Options | undefined {
  try {
    const parsed = parseOptions(args)
    if (parsed === undefined) say(HELP)
    return parsed
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nSee --help.\n`)
    process.exitCode = EXIT.usage
    return undefined
  }
}
