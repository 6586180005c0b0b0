// useTool: offers a tool to the model while a component is mounted. Calls use the handler of the latest render.
import { type ClientTool, type Session, type StandardSchema, type TypedTool, tool } from '@parley/client'
import { useEffect, useRef } from 'react'

/**
 * The session declares the tool again if its description, schemas or other fields change, but not for another `execute`.
 * @example
 * useTool(session, {
 *   name: 'set_color',
 *   description: 'Sets the color of the page.',
 *   inputSchema: z.object({ color: z.string() }),
 *   execute: ({ color }) => setColor(color),
 * })
 */
export function useTool<Schema extends StandardSchema, Output = unknown>(
  session: Session | undefined,
  definition: TypedTool<Schema, Output>,
): void
export function useTool<Input = Record<string, unknown>, Output = unknown>(
  session: Session | undefined,
  definition: ClientTool<Input, Output>,
): void
export function useTool(session: Session | undefined, definition: ClientTool<never> | TypedTool<StandardSchema>): void {
  const current = tool(definition as ClientTool)
  const latest = useRef(current)
  useEffect(() => {
    latest.current = current
  })
  // Functions are not part of JSON.
  const declared = JSON.stringify(current)
  useEffect(() => {
    if (session === undefined) return undefined
    const fields = JSON.parse(declared) as Omit<ClientTool, 'execute'>
    return session.addTool({ ...fields, execute: (input, context) => latest.current.execute(input, context) })
  }, [session, declared])
}
