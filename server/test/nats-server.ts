// The tests' nats-servers: the same as the benchmarks'.
export { NatsCluster, NatsServer, type NatsServerOptions } from '../bench/nats-server.ts'
