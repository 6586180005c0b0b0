// npm run loadtest as a process: a short run over all transports and an impaired network, with its report.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import type { Report } from './report/report.ts'

const main = fileURLToPath(new URL('dist/main.js', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'parley-loadtest-out-'))
afterAll(() => rmSync(out, { recursive: true, force: true }))

describe('npm run loadtest', () => {
  it('runs all transports over an impaired network, loses nothing, and writes all reports', async () => {
    const line =
      '--together --doors ws,sse,ndjson,request,long-poll,short-poll,sdk --sessions 14 --duration 3 --think 500 ' +
      `--answer 20 --pace 40 --cut 30%/1s --latency 40ms --jitter 10ms --memory 0 --drain 15s --out ${out}`
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...line.split(' ')])
    expect(stdout).toContain('All answers are complete')
    const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report
    expect(report.faultless).toBe(true)
    expect(report.proxy?.cuts).toBeGreaterThan(0)
    expect(report.summaries.map(({ door }) => door)).toHaveLength(7)
    for (const { asked, completed } of report.summaries) {
      expect(asked).toBeGreaterThan(0)
      expect(completed).toBe(asked)
    }
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('uPlot')
  })

  it('names an invalid option', async () => {
    const failed = await promisify(execFile)(process.execPath, [main, '--doors', 'fax']).catch(
      (error: unknown) => error,
    )
    expect(failed).toMatchObject({ code: 2, stderr: expect.stringContaining('--doors fax') })
  })
})
