// drawPlots runs in the report's page. html.ts inserts its source text, so it must not use anything outside its own
// body.
import type uPlot from 'uplot'
import type { TransportSummary } from '../tally.ts'
import type { Report } from './report.ts'

/** The data of the plots. */
export interface PlotData {
  readonly points: readonly number[]
  readonly doors: readonly (Pick<TransportSummary, 'curves' | 'cpuMsPerAsk' | 'bytesPerAsk'> & {
    readonly label: string
    readonly gaveUp: number
  })[]
  readonly seconds: Report['seconds']
}

export function drawPlots(Plot: typeof uPlot, { points, doors, seconds }: PlotData, into: HTMLElement): void {
  const COLORS = ['#0969da', '#bc4c00', '#1a7f37', '#8250df', '#bf3989', '#57606a', '#9a6700', '#0a7ea4']
  const colored = (at: number) => COLORS[at % COLORS.length] ?? '#000'
  const size = { width: 540, height: 260 }
  const figure = (title: string, about: string): HTMLElement => {
    const element = document.createElement('figure')
    const caption = document.createElement('figcaption')
    const small = document.createElement('small')
    small.textContent = about
    caption.append(title, small)
    element.append(caption)
    into.append(element)
    return element
  }
  const short = (value: number | null | undefined): string =>
    value === null || value === undefined ? '–' : Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(1)

  // The logarithmic scale begins at 0.5 ms: smaller values do not matter, and would take half of the plot.
  const curves = (
    title: string,
    about: string,
    of: (door: PlotData['doors'][number]) => readonly (number | null)[],
  ) => {
    const rows = doors.map((door) => of(door).map((value) => (value === null ? null : Math.max(0.5, value))))
    if (!rows.some((row) => row.some((value) => value !== null))) return
    const options = {
      ...size,
      scales: { x: { time: false }, y: { distr: 3 as const } },
      axes: [
        { values: (_: uPlot, ticks: number[]) => ticks.map((tick) => `${(tick * 100).toFixed(0)}%`) },
        {
          values: (_: uPlot, ticks: (number | null)[]) => ticks.map((tick) => (tick === null ? '' : `${tick} ms`)),
          size: 86,
        },
      ],
      series: [
        {
          label: 'of answers',
          value: (_: uPlot, value: number | null) => (value === null ? '–' : `${(value * 100).toFixed(1)}%`),
        },
        ...doors.map(({ label }, at) => ({
          label,
          stroke: colored(at),
          width: 2,
          value: (_: uPlot, value: number | null) => `${short(value)} ms`,
        })),
      ],
    }
    new Plot(options, [[...points], ...rows], figure(title, about))
  }
  const lines = (
    title: string,
    about: string,
    rows: readonly { label: string; of: (at: number) => number | null }[],
  ) => {
    const x = seconds.map(({ at }) => at)
    // A label at the beginning of each phase.
    const begins = seconds.flatMap(({ stretch }, at) => (stretch === seconds[at - 1]?.stretch ? [] : [{ stretch, at }]))
    const named = (plot: uPlot): void => {
      const { ctx } = plot
      const { top, height } = plot.bbox
      ctx.textAlign = 'left'
      ctx.fillStyle = '#57606a'
      ctx.strokeStyle = '#afb8c1'
      for (const { stretch, at } of begins) {
        const left = plot.valToPos(seconds[at]?.at ?? 0, 'x', true)
        ctx.beginPath()
        ctx.moveTo(left, top)
        ctx.lineTo(left, top + height)
        ctx.stroke()
        ctx.fillText(stretch.replace(/, .*/, ''), left + 4, top + 12)
      }
    }
    const options = {
      ...size,
      scales: { x: { time: false } },
      axes: [{ values: (_: uPlot, ticks: number[]) => ticks.map((tick) => `${tick} s`) }, { size: 60 }],
      series: [
        {
          label: 'at',
          value: (_: uPlot, value: number | null, __: number, at: number | null) =>
            at === null ? '–' : `${short(value)} s (${seconds[at]?.stretch ?? ''})`,
        },
        ...rows.map(({ label }, at) => ({
          label,
          stroke: colored(at),
          width: 1.5,
          value: (_: uPlot, value: number | null) => short(value),
        })),
      ],
      hooks: { draw: [named] },
    }
    new Plot(options, [x, ...rows.map(({ of }) => seconds.map((_, at) => of(at)))], figure(title, about))
  }
  const bars = (title: string, about: string, of: (door: PlotData['doors'][number]) => number | undefined) => {
    const values = doors.map((door) => of(door) ?? 0)
    if (!values.some((value) => value > 0)) return
    const options = {
      ...size,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: [-0.6, doors.length - 0.4] as [number, number] },
        y: { range: [0, Math.max(...values) * 1.15] as [number, number] },
      },
      axes: [
        {
          splits: () => doors.map((_, at) => at),
          values: () => doors.map(({ label }) => label),
          grid: { show: false },
        },
        { size: 60 },
      ],
      series: [
        {},
        {
          stroke: colored(0),
          fill: '#0969da44',
          ...(Plot.paths.bars === undefined ? {} : { paths: Plot.paths.bars({ size: [0.6, 80] }) }),
        },
      ],
      hooks: {
        draw: [
          (plot: uPlot) => {
            plot.ctx.textAlign = 'center'
            plot.ctx.fillStyle = '#1b1f24'
            for (const [at, value] of values.entries()) {
              plot.ctx.fillText(short(value), plot.valToPos(at, 'x', true), plot.valToPos(value, 'y', true) - 8)
            }
          },
        ],
      },
    }
    new Plot(options, [doors.map((_, at) => at), values], figure(title, about))
  }

  curves('First token', 'added to the time of the model, by share of the answers', ({ label, curves }) =>
    label.startsWith('request') ? curves.firstAdded.map(() => null) : curves.firstAdded,
  )
  curves('Complete answer', 'added to the time of the model', ({ curves }) => curves.doneAdded)
  curves('Resume gap', 'from losing the connection to resuming', ({ curves }) => curves.resumeGap)
  lines('Tokens per second', 'one phase after the other', [
    { label: 'tokens', of: (at) => seconds[at]?.outputs ?? null },
  ])
  lines('Active answers and lost connections', 'per second', [
    { label: 'active', of: (at) => seconds[at]?.active ?? null },
    { label: 'lost', of: (at) => seconds[at]?.interruptions ?? null },
  ])
  if (seconds.some(({ cores }) => cores !== undefined)) {
    lines('CPU cores of the servers', 'sum of all nodes', [{ label: 'cores', of: (at) => seconds[at]?.cores ?? null }])
    lines('Memory of the servers', 'MB, sum of all nodes', [
      { label: 'MB', of: (at) => (seconds[at]?.residentBytes ?? 0) / 1e6 || null },
    ])
  }
  bars('CPU per question', 'ms, sum of all servers', ({ cpuMsPerAsk }) => cpuMsPerAsk)
  bars('Bytes per question', 'kB on the wire, both directions', ({ bytesPerAsk }) => bytesPerAsk / 1000)
  bars('Gave up', 'percent of the questions', ({ gaveUp }) => gaveUp)
}
