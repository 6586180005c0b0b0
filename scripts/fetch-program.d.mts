// The types of fetch-program.mjs, for the tests.
/** @throws Error with the reason, if apt or a package is not available */
export function fetchDebianFolder(folder: string, names: readonly string[], say: (line: string) => void): void
