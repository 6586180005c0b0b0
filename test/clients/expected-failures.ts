// What is known not to work, with the reason. Remove an entry when its check passes.

/** Reasons by `client: feature`. */
export const EXPECTED_FAILURES: Readonly<Record<string, string>> = {}
