// `useChat` in Chromium, in StrictMode, with few answers.
import { chatPageSuite } from './use-chat-suite.ts'

chatPageSuite({ answers: 3, cutMs: 700, tokens: 60 })
