// The types of programs.mjs, for the tests.
/** The folder of downloads, outside the repository. */
export const CACHE: string
export interface Program {
  readonly name: string
}
export const CHROMIUM: Program
export const FIREFOX: Program
export const NATS_SERVER: Program
export const NGINX: Program
export const PROMETHEUS: Program
export const PROMTOOL: Program
export const CURL: Program
export class MissingProgram extends Error {}
export function findProgram(program: Program): string | undefined
/** @throws MissingProgram, which skips the tests that need the program */
export function requireProgram(program: Program): string
