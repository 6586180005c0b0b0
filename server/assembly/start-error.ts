// StartError: why the server cannot start in this environment.

/** The environment prevents the start. The message says what to do. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** @throws StartError that names the setting, if the work fails */
export async function orStartError<T>(setting: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new StartError(`${setting}: ${reason}.`, { cause: error })
  }
}
