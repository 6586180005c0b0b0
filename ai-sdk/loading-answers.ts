// Loads the code of answers while the client connects: no answer can be shown before. If that fails, the next use tries again.

export type Answers = typeof import('./answers.ts')

let loaded: Answers | undefined

export function loadedAnswers(): Answers | undefined {
  return loaded
}

/** @throws TypeError if the code cannot be loaded */
export async function loadAnswers(): Promise<Answers> {
  loaded ??= await import('./answers.ts')
  return loaded
}
