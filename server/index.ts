// The public exports for programs that embed the server, and for configuration modules.

export { StartError } from './assembly/start-error.ts'
export { type Config, ConfigError, loadConfig } from './config/config.ts'
export { createLogger } from './config/logger.ts'
export { createServer, type Server } from './create-server.ts'
export {
  type Answer,
  defineTool,
  type Question,
  type ServerTool,
  type ToolContext,
  type ToolProgress,
} from './tool/define-tool.ts'
