// Tool declarations: who declared which client tool. Pure. Several users may declare a tool of one name; nobody replaces the
// declaration of another user, and each device runs calls only as its own user declared.
import { type DeclaredTool, may } from '@parley/protocol'
import type { Members } from './members.ts'

/** By the tool's name, its declarations in the order of the users' first declarations. */
export type ToolDeclarations = ReadonlyMap<string, readonly DeclaredTool[]>

/** The part of a session's state that determines its tools. */
interface Declared {
  readonly tools: ToolDeclarations
  readonly members: Members
}

/** Each tool replaces the one with the same name and the same user. */
export function declare(declarations: ToolDeclarations, tools: readonly DeclaredTool[]): ToolDeclarations {
  const all = new Map(declarations)
  for (const tool of tools) {
    const others = all.get(tool.name) ?? []
    const at = others.findIndex(({ by }) => by === tool.by)
    all.set(tool.name, at < 0 ? [...others, tool] : others.with(at, tool))
  }
  return all
}

/** Removes the declarations of one user, such as a former member. */
export function withoutUser(declarations: ToolDeclarations, user: string): ToolDeclarations {
  const rest = [...declarations].map(([name, all]) => [name, all.filter(({ by }) => by !== user)] as const)
  return new Map(rest.filter(([, all]) => all.length > 0))
}

const sizes = new WeakMap<DeclaredTool, number>()

/** The sum of the declarations' bytes as JSON. */
export function bytesOf(tools: readonly DeclaredTool[]): number {
  return tools.reduce((sum, tool) => {
    const bytes = sizes.get(tool) ?? Buffer.byteLength(JSON.stringify(tool))
    sizes.set(tool, bytes)
    return sum + bytes
  }, 0)
}

/** The user's declaration. Entries of older servers do not name the user: those count as everyone's. */
export function declaredBy(declarations: ToolDeclarations, name: string, user: string): DeclaredTool | undefined {
  const all = declarations.get(name)
  return all?.find(({ by }) => by === user) ?? all?.find(({ by }) => by === undefined)
}

/**
 * The tool as the model is offered it. Among several declarations those of owners count, or all if no owner declared the
 * tool: its first declaration, with `approval` if any of them has it. Users who may not run tools any more do not count.
 */
export function effectiveTool({ tools, members }: Declared, name: string): DeclaredTool | undefined {
  const all = tools.get(name) ?? []
  // Users who never were members declared it on a server without authentication.
  const roleOf = ({ by = '' }: DeclaredTool): string =>
    members.all.get(by)?.role ?? (members.gone.has(by) ? 'viewer' : 'editor')
  const able = all.filter((tool) => may(roleOf(tool), 'run'))
  const owners = able.filter((tool) => roleOf(tool) === 'owner')
  const counting = owners.length > 0 ? owners : able
  const [first] = counting
  if (first === undefined) return undefined
  return counting.some(({ approval }) => approval === true) ? { ...first, approval: true } : first
}
