// The tests' server processes: the same as those of the benchmarks and of `npm run cluster`.
export { ServerProcess, type ServerProcessOptions, type ServerState } from '../bench/server-process.ts'
