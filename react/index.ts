// The public API of Parley's React hooks.
export { ParleyClient } from '@parley/client'
export { perFrame, type Source } from './per-frame.ts'
export { useSession } from './use-session.ts'
export { useActiveRun, useCall, useConnection, useMessages, usePresence, useRun, useSessionState } from './use-state.ts'
export { useTool } from './use-tool.ts'
