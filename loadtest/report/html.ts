// The report as one self-contained HTML page: it includes uPlot and all data. Text from outside is escaped.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { CURVE_POINTS } from '../tally.ts'
import { drawPlots, type PlotData } from './plots.ts'
import type { Report } from './report.ts'
import { COLUMNS, sentences } from './table.ts'

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; margin: 2rem auto; max-width: 1440px; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p.of { color: #57606a; margin: .2rem 0 1rem } code { font-size: .85em }
.verdict { padding: .6rem .9rem; border-radius: 6px; font-weight: 600 }
.good { background: #dcf5e3; color: #0b4f22 } .bad { background: #ffdfdc; color: #82071e }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .8rem; width: 100% }
th, td { padding: .35rem .45rem; text-align: right; border-bottom: 1px solid #d8dee4; white-space: nowrap }
th { white-space: normal; vertical-align: bottom } th:first-child, td:first-child { text-align: left; font-weight: 600 }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(520px, 1fr)); gap: 1.5rem } figure { margin: 0 }
figcaption { font-weight: 600; font-size: .95rem } figcaption small { font-weight: 400; color: #57606a; display: block }
.u-legend { font-size: .8rem }`

export function html(report: Report): string {
  const require = createRequire(import.meta.url)
  const library = readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8')
  const css = readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8')
  const rows = report.summaries.map(
    (one) => `<tr>${COLUMNS.map(({ of }) => `<td>${escaped(of(one))}</td>`).join('')}</tr>`,
  )
  const head = COLUMNS.map(
    ({ title, meaning }) => `<th title="${escaped(meaning)}">${escaped(title).replaceAll('/', '/<wbr>')}</th>`,
  ).join('')
  const legend = COLUMNS.slice(3).map(({ title, meaning }) => `<b>${escaped(title)}</b>: ${escaped(meaning)}`)
  const findings = sentences(report)
  const verdict = findings.pop() ?? ''
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Parley: load test</title>
<style>${css}${STYLE}</style></head><body>
<h1>Parley: load test</h1>
<p class="of">${escaped(report.startedAt)} · ${escaped(report.machine)} · ${report.nodes} node${report.nodes === 1 ? '' : 's'}<br><code>${escaped(report.command)}</code></p>
<p class="verdict ${report.faultless ? 'good' : 'bad'}">${escaped(verdict)}</p>
<h2>By transport</h2>
<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>
<p class="of">${legend.join(' · ')}</p>
<h2>Capacity, memory and other findings</h2>
<ul>${findings.map((sentence) => `<li>${escaped(sentence)}</li>`).join('')}</ul>
<p class="of">The capacity model: each second with all users gives the CPU cost of one user. A node is full at
${(report.goal.utilization * 100).toFixed(0)}% of a core or, if the test had several numbers of users, between the last one that met the goal of ${report.goal.addedMs} ms and the first that missed it.
In parentheses: the range of 90% of the bootstrap resamplings of those seconds. It applies only to users who behave like these.</p>
<div class="plots" id="plots"></div>
<script>${library}</script>
<script type="application/json" id="data">${JSON.stringify(plotData(report)).replaceAll('<', '\\u003c')}</script>
<script>(${drawPlots.toString()})(uPlot, JSON.parse(document.getElementById('data').textContent), document.getElementById('plots'))</script>
</body></html>
`
}

function plotData({ summaries, seconds }: Report): PlotData {
  const several = new Set(summaries.map(({ users }) => users)).size > 1
  const doors = summaries.map((one) => ({
    label: several ? `${one.door}, ${one.users}` : one.door,
    curves: one.curves,
    cpuMsPerAsk: one.cpuMsPerAsk,
    bytesPerAsk: one.bytesPerAsk,
    gaveUp: one.asked === 0 ? 0 : (one.abandoned / one.asked) * 100,
  }))
  return { points: CURVE_POINTS, doors, seconds }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
