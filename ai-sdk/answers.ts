// The code that turns runs into chunks and messages, as one part that a page loads on demand.

export { AnswerChunks } from './answer-chunks.ts'
export { answerStream } from './answer-stream.ts'
export { contentOf, reconcile, toUIMessages } from './ui-messages.ts'
