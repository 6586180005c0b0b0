// The code that uses plain HTTP, as one part that a page loads on demand.

export { HttpTransport } from './http-transport.ts'
export { ServerRequests } from './server-requests.ts'
