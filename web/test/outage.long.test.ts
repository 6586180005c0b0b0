// The page, and a server that is away for minutes.
import { testOutages } from './outage-suite.ts'

testOutages([90, 240], 6)
