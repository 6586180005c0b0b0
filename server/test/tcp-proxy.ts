// The tests' networks: the same as those of the benchmarks.
export { TcpProxy, type Weather } from '../bench/tcp-proxy.ts'
