// The page, and a server that is away for ten seconds. Longer outages run in `npm run test:chaos`.
import { testOutages } from './outage-suite.ts'

testOutages([10], 2)
