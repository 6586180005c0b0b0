// checkTables: whether LMDB can read its file. LMDB trusts the file: a page beyond its end or with foreign content ends
// the process without a word. So this walks the trees before LMDB opens them, from their roots, as far as it gets in a
// limited time. The format is that of LMDB 1.0 (MDB_page, MDB_node and MDB_db in mdb.c), which lmdb 3 uses. The content
// of values has no checksum and is not checked.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const MAGIC = 0xbeefc0de
const VERSION = 2
/** Every page begins with its number, a transaction, flags, and where its free space begins and ends, counted from here. */
const HEAD = 24
const NODE_HEAD = 8
const NO_PAGE = 0xffffffffffffffffn
const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4
const META = 8
/** The flags that stay with a page; the others are of transactions that wrote it. */
const KIND = 0x6f
const ON_OVERFLOW_PAGES = 1
const IS_TREE = 2
/** A tree's record: its root is the last field. */
const TREE_BYTES = 48
const MAX_MS = 1_000
/** How often a file that another process changes meanwhile is read again. */
const MAX_ATTEMPTS = 5

interface Meta {
  readonly pageBytes: number
  readonly transaction: bigint
  readonly roots: readonly bigint[]
}

class Damaged extends Error {}

/**
 * @param path of `data.mdb`. A missing or empty file is fine: LMDB creates it.
 * @throws Error that names the damage
 */
export function checkTables(path: string): void {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    for (let attempt = 1; ; attempt++) {
      const fileBytes = fstatSync(fd).size
      if (fileBytes === 0) return
      const meta = readMeta(fd)
      // LMDB reports another version itself.
      if (meta === undefined) return
      try {
        walk(fd, fileBytes, meta)
        return
      } catch (error) {
        // Another process may have reused the page meanwhile; it holds the lock of the folder.
        const isChanging = readMeta(fd)?.transaction !== meta.transaction
        if (!isChanging || !(error instanceof Damaged)) throw error
        if (attempt === MAX_ATTEMPTS) return
      }
    }
  } catch (error) {
    if (!(error instanceof Damaged)) throw error
    throw new Error(`${path} is damaged: ${error.message}. Restore the whole data folder from a backup`)
  } finally {
    closeSync(fd)
  }
}

/** The newer of the two meta pages. */
function readMeta(fd: number): Meta | undefined {
  const first = metaOf(read(fd, 0, 512), 0)
  if (first === undefined) return undefined
  const { pageBytes } = first
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) {
    throw new Damaged('the first page is unreadable')
  }
  const second = metaOf(read(fd, pageBytes, 512), 1)
  if (second === undefined || second.pageBytes !== pageBytes) throw new Damaged('the second page is unreadable')
  return second.transaction > first.transaction ? second : first
}

/** @returns undefined if the page is of another version */
function metaOf(page: Buffer, number: number): Meta | undefined {
  const isMeta = page.readBigUInt64LE(0) === BigInt(number) && (page.readUInt16LE(18) & META) !== 0
  if (!isMeta || page.readUInt32LE(HEAD) !== MAGIC) {
    throw new Damaged(`the ${number === 0 ? 'first' : 'second'} page is unreadable`)
  }
  if ((page.readUInt32LE(HEAD + 4) & 0xffff) !== VERSION) return undefined
  // The map's address and size precede the records of the two trees: free pages, and tables.
  const trees = HEAD + 24
  return {
    pageBytes: page.readUInt32LE(trees),
    transaction: page.readBigUInt64LE(trees + 2 * TREE_BYTES + 8),
    roots: [rootOf(page, trees), rootOf(page, trees + TREE_BYTES)],
  }
}

function rootOf(page: Buffer, tree: number): bigint {
  return page.readBigUInt64LE(tree + TREE_BYTES - 8)
}

/** Level by level, so that the time suffices for the branches of large trees. */
function walk(fd: number, fileBytes: number, { pageBytes, roots }: Meta): void {
  const until = performance.now() + MAX_MS
  const queue = roots.filter((root) => root !== NO_PAGE)
  const seen = new Set(queue)
  const assertInFile = (number: bigint, pages = 1n): void => {
    if ((number + pages) * BigInt(pageBytes) > BigInt(fileBytes)) {
      throw new Damaged(`page ${number} is beyond the end of the file`)
    }
  }
  const add = (page: bigint): void => {
    // Now, because there may be no time to read it.
    assertInFile(page)
    if (seen.has(page)) throw new Damaged(`page ${page} is referred to twice`)
    seen.add(page)
    queue.push(page)
  }
  const readPage = (number: bigint, bytes: number, pages = 1n): Buffer => {
    assertInFile(number, pages)
    const page = read(fd, Number(number) * pageBytes, bytes)
    if (page.readBigUInt64LE(0) !== number) throw new Damaged(`page ${number} has the content of another page`)
    return page
  }
  for (let at = 0; at < queue.length && performance.now() < until; at++) {
    const number = queue[at] as bigint
    const page = readPage(number, pageBytes)
    const flags = page.readUInt16LE(18) & KIND
    if (flags !== BRANCH && flags !== LEAF) throw new Damaged(`page ${number} has unknown flags`)
    for (const node of nodesOf(page, number)) {
      const low = page.readUInt32LE(node)
      const nodeFlags = page.readUInt16LE(node + 4)
      if (flags === BRANCH) {
        add(BigInt(low) + (BigInt(nodeFlags) << 32n))
        continue
      }
      const value = node + NODE_HEAD + page.readUInt16LE(node + 6)
      const isOverflow = (nodeFlags & ON_OVERFLOW_PAGES) !== 0
      const isTree = (nodeFlags & IS_TREE) !== 0
      if (value + (isOverflow ? HEAD : low) > pageBytes) throw new Damaged(`page ${number} is unreadable`)
      if (isTree && rootOf(page, value) !== NO_PAGE) add(rootOf(page, value))
      if (!isOverflow) continue
      const first = page.readBigUInt64LE(value)
      const pages = page.readBigUInt64LE(value + 16)
      const head = readPage(first, HEAD, pages)
      if ((head.readUInt16LE(18) & KIND) !== OVERFLOW) throw new Damaged(`page ${first} has unknown flags`)
    }
  }
}

/** The offsets of a page's nodes. */
function* nodesOf(page: Buffer, number: bigint): Generator<number> {
  const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)]
  if (lower > upper || upper > page.length - HEAD) throw new Damaged(`page ${number} is unreadable`)
  for (let at = 0; at < lower; at += 2) {
    const offset = page.readUInt16LE(HEAD + at)
    const node = HEAD + offset
    if (offset < upper || node + NODE_HEAD > page.length) throw new Damaged(`page ${number} is unreadable`)
    yield node
  }
}

function read(fd: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  if (readSync(fd, buffer, 0, bytes, position) < bytes) throw new Damaged('it is shorter than its pages')
  return buffer
}
