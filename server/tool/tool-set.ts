// ToolSet: the server tools that a run may use. A `ReadonlyMap` is one. The tools of MCP servers may change while a run uses them.
import type { ServerTool } from './define-tool.ts'

export interface ToolSet {
  get(name: string): ServerTool | undefined
  has(name: string): boolean
  values(): Iterable<ServerTool>
  /** Brings the tools up to date, within a limited time. @param signal ends the wait; then it rejects */
  ready?(signal: AbortSignal): Promise<void>
  /** Why there is no tool with this name, for the model; undefined if nothing more is known. */
  problem?(name: string): string | undefined
}
