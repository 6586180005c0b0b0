// The Chromium that documentation scripts draw with: the same program that the tests of the page use.
import { chromium } from 'playwright-core'
import { CHROMIUM, requireProgram } from './programs.mjs'

/** No sandbox, because containers run as root; no traffic of the browser's own. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Pictures must not depend on the subpixel order of somebody's screen.
  '--disable-lcd-text',
]

/** @returns {Promise<import('playwright-core').Browser>} @throws MissingProgram */
export function launchChromium() {
  return chromium.launch({ executablePath: requireProgram(CHROMIUM), args: FLAGS })
}
