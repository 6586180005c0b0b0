// Footnotes: GFM's footnotes for micromark, and their numbers. The definitions move to the end of the text. Pure.
import type { FootnoteDefinition, FootnoteReference, Parent } from 'mdast'
import { gfmFootnote } from 'micromark-extension-gfm-footnote'
import type { Construct, Extension } from 'micromark-util-types'
import { shallow } from './shallow-containers.ts'

export interface Footnotes extends Parent {
  type: 'footnotes'
  children: FootnoteDefinition[]
}

declare module 'mdast' {
  interface RootContentMap {
    footnotes: Footnotes
  }
  interface FootnoteReference {
    /** From 1. */
    number?: number
    /** How many references to the same footnote precede this one. */
    uses?: number
  }
  interface FootnoteDefinition {
    /** From 1; undefined if nothing refers to it. */
    number?: number
    /** How many references there are. */
    uses?: number
  }
}

/** @param calls whether references become footnotes. A growing text is parsed in parts that do not have its definitions */
export function footnoteSyntax(calls: boolean): Extension {
  const { document = {}, text = {} } = gfmFootnote()
  const definition = document[91] as Construct
  // The construct for `![^a]` searches all events at every bracket, which takes long.
  return { document: { 91: shallow(definition) }, ...(calls ? { text: { 91: text[91] } } : {}) }
}

/**
 * Numbers the footnotes by their first reference.
 * @param references in the order of the text @returns the definitions by their number, then those without a reference
 */
export function numbered(
  references: readonly FootnoteReference[],
  definitions: readonly FootnoteDefinition[],
): FootnoteDefinition[] {
  const byName = new Map<string, FootnoteDefinition>()
  for (const definition of definitions) {
    if (!byName.has(definition.identifier)) byName.set(definition.identifier, definition)
  }
  let count = 0
  for (const reference of references) {
    const definition = byName.get(reference.identifier)
    if (definition === undefined) continue
    if (definition.number === undefined) count += 1
    definition.number ??= count
    reference.number = definition.number
    reference.uses = definition.uses ?? 0
    definition.uses = reference.uses + 1
  }
  const numberOf = ({ number }: FootnoteDefinition): number => number ?? count + 1
  return [...definitions].sort((a, b) => numberOf(a) - numberOf(b))
}
