// Renders docs/diagrams/*.mmd to docs/images/*-light.svg and *-dark.svg, by Mermaid in the Chromium of the tests.
//
//   npm run diagrams
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { launchChromium } from './browser.mjs'
import { pinnedPackage } from './pinned-package.mjs'

const SOURCES = fileURLToPath(new URL('../docs/diagrams/', import.meta.url))
const IMAGES = fileURLToPath(new URL('../docs/images/', import.meta.url))

/** The colours of the chat page. */
const COLOURS = {
  light: {
    ground: '#ffffff',
    box: '#e2f0ee',
    line: '#0b6b68',
    ink: '#1e2125',
    soft: '#5b6068',
    group: '#faf9f7',
    rim: '#d3cfc6',
    note: '#fbf0d9',
  },
  dark: {
    ground: '#0d1117',
    box: '#1d3634',
    line: '#62c4bd',
    ink: '#e8e6e1',
    soft: '#a5a9b0',
    group: '#16181b',
    rim: '#3d424a',
    note: '#352c18',
  },
}

const browser = await launchChromium()
try {
  mkdirSync(IMAGES, { recursive: true })
  for (const [scheme, colours] of Object.entries(COLOURS)) {
    const page = await browser.newPage()
    await page.addScriptTag({ path: join(pinnedPackage('mermaid', '12.3.0'), 'dist', 'mermaid.min.js') })
    await page.evaluate(useFont, font())
    for (const name of readdirSync(SOURCES).filter((file) => file.endsWith('.mmd'))) {
      const source = readFileSync(join(SOURCES, name), 'utf8')
      const svg = await page.evaluate(render, { source, config: configuration(colours) })
      const file = `${name.replace(/\.mmd$/, '')}-${scheme}.svg`
      writeFileSync(join(IMAGES, file), `${withSize(svg)}\n`)
      process.stdout.write(`docs/images/${file}: ${Math.round(svg.length / 1_000)} kB\n`)
    }
    await page.close()
  }
} finally {
  await browser.close()
}

function configuration({ ground, box, line, ink, soft, group, rim, note }) {
  return {
    startOnLoad: false,
    securityLevel: 'strict',
    deterministicIds: true,
    look: 'classic',
    theme: 'base',
    // Plain SVG text: HTML inside an SVG is not shown by every viewer of images.
    htmlLabels: false,
    fontFamily: 'Arial, Helvetica, sans-serif',
    flowchart: { htmlLabels: false, curve: 'basis', wrappingWidth: 600, padding: 14, nodeSpacing: 45, rankSpacing: 40 },
    sequence: { mirrorActors: false, width: 110, actorMargin: 30, boxMargin: 8, messageMargin: 28 },
    themeVariables: {
      fontFamily: 'Arial, Helvetica, sans-serif',
      fontSize: '15px',
      dropShadow: 'none',
      useGradient: false,
      background: ground,
      primaryColor: box,
      primaryBorderColor: line,
      primaryTextColor: ink,
      secondaryColor: group,
      tertiaryColor: group,
      lineColor: soft,
      textColor: ink,
      clusterBkg: group,
      clusterBorder: rim,
      titleColor: soft,
      edgeLabelBackground: ground,
      actorBkg: box,
      actorBorder: line,
      actorTextColor: ink,
      actorLineColor: rim,
      signalColor: soft,
      signalTextColor: ink,
      labelBoxBkgColor: group,
      labelBoxBorderColor: rim,
      labelTextColor: ink,
      loopTextColor: ink,
      noteBkgColor: note,
      noteBorderColor: rim,
      noteTextColor: ink,
      altBackground: group,
      compositeBackground: group,
      compositeTitleBackground: group,
      compositeBorder: rim,
      stateBkg: box,
      stateLabelColor: ink,
      transitionColor: soft,
      transitionLabelColor: ink,
      specialStateColor: soft,
    },
  }
}

/** An image needs a width of its own; Mermaid makes one that fills the page that it is in. */
function withSize(svg) {
  const [, width, height] = /viewBox="\S+ \S+ (\S+) (\S+)"/.exec(svg)
  const size = `width="${Math.ceil(width)}" height="${Math.ceil(height)}"`
  return svg.replace(/ width="100%"/, ` ${size}`).replace(/ style="max-width: [^"]*"/, '')
}

/** Text is measured in Arimo, which is as wide as Arial and Helvetica: so it fits on other machines, too. */
function font() {
  const files = join(pinnedPackage('@fontsource/arimo', '5.3.0'), 'files')
  return [400, 700].map((weight) => ({
    weight: String(weight),
    data: readFileSync(join(files, `arimo-latin-${weight}-normal.woff2`), 'base64'),
  }))
}

/** Runs in the page. */
async function useFont(faces) {
  for (const { weight, data } of faces) {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0))
    const face = new FontFace('Arial', bytes, { weight })
    document.fonts.add(await face.load())
  }
}

/** Runs in the page. */
async function render({ source, config }) {
  mermaid.initialize(config)
  const { svg } = await mermaid.render('diagram', source)
  return svg
}
