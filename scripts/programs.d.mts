// The types of programs.mjs, for the tests.
export interface Program {
  readonly name: string
  readonly purpose: string
  readonly variable: string
  readonly commands: readonly string[]
  readonly paths?: readonly string[]
  readonly cached?: string
  readonly oldest?: readonly number[]
}
export const CACHE: string
export const CHROMIUM: Program
export const NATS_SERVER: Program
export const NGINX: Program
export const PROMETHEUS: Program
export const PROMTOOL: Program
export const CURL: Program
export function findProgram(program: Program, tell?: (problem: string) => void): string | undefined
