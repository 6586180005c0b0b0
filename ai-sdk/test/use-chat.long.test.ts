// `useChat` in Chromium, in StrictMode: 200 answers of each version, with a cut every two seconds.
import { vi } from 'vitest'
import { chatPageSuite } from './use-chat-suite.ts'

vi.setConfig({ testTimeout: 1_800_000 })
chatPageSuite({ answers: 200, cutMs: 2_000, tokens: 100 })
