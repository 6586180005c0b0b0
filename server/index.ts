// What programs that embed the server, and configuration modules, import.
export { type Config, ConfigError, loadConfig } from './config.ts'
export { createServer, type Server } from './create-server.ts'
export { createLogger } from './logger.ts'
export { StartError } from './open-stores.ts'
export { defineTool, type ServerTool, type ToolContext } from './tool/define-tool.ts'
