// The words and constructions that scripts/check-language.mjs reports, each with a better one, and their exceptions.
// A rule is here only if most of its hits are real faults. A space in a pattern matches any white space.

/** @typedef {{ find: RegExp, better: string, unless?: RegExp }} Rule `unless` is tried on the hit with its surroundings. */

/** @type {Rule[]} */
export const RULES = [
  // Headless clauses: they name no person and no thing.
  { find: /\bwhoever\b|\bwhomever\b/i, better: 'anyone who …, or the person: "a removed member"' },
  { find: /\bWho (?!may\b|can\b)[a-z]+ (?![^.\0]{0,160}\?)/, better: 'name the person: "Clients without WebSocket …"' },
  {
    find: /\b(?:for|of|to|with|by|than|from|if|since|because|where|while|lets? in) who (?:is|are|was|were|has|have|had|may|can|cannot|could|must|does|did|wants|needs|reads|writes|asks|comes|came|waits|looks|sends|follows|knows|goes|runs|calls|uses|takes|holds|gets|makes|answers|lacks|leaves|left|would)\b/i,
    better: 'name the person: "for clients that …"',
    unless: /(?:depends on|regardless of|a question of|a list of|known by) who/i,
  },
  { find: /\bwhat of\b/i, better: 'name the thing: "unsupported options"' },
  { find: /\bwhat (?:is|are|was) none\b/i, better: '"invalid values"' },
  { find: /\bwhat (?:is )?left of\b|\bwhat it is about\b/i, better: 'name the thing' },
  {
    find: /\bwhat (?:stands|lies|waits|comes|came)\b/i,
    better: 'name the thing: "queued messages", "the following entries"',
  },
  { find: /\bwhat (?:becomes|became|has become) of\b/i, better: '"what happens to …", "the outcome of …"' },
  { find: /\b(?:came|comes|come) of\b/i, better: '"the outcome of …", "the result is …"' },
  {
    find: /\b(?:is|are|was|were) none\b/i,
    better: '"is invalid", "does not exist"',
    unless: /\bthere (?:is|are|was|were) none\b/i,
  },
  {
    find: /\b(?:that|which) (?:is|are|was|were) no (?!longer\b|more\b|\d)\w+/i,
    better: '"an invalid …", "that is not a …"',
  },
  // If … then.
  {
    find: /\bwhere (?:nobody|none|one is (?!stored|kept)|there (?:is|are|was) (?:no|none)\b)/i,
    better: '"if no …", "without …"',
  },
  { find: /, should (?:it|they|he|she|one|the \w+|a \w+) \w+|\bshould (?:it|they) not\b/i, better: '"if it …"' },
  { find: /\b(?:is|are|was|were) to be\b/i, better: '"must be", "will be"' },
  { find: /\bwas had\b|\bbe it\b|\bonce and again\b|\beach for itself\b/i, better: 'a plain sentence' },
  // Riddles in the passive, and verbs of speech for programs.
  { find: /\b(?:is|are|was|were|be|been|being) told\b/i, better: '"receives", "is notified of", "configure … to"' },
  { find: /\b(?:tell|tells|told|telling) (?:of|nothing|that)\b/i, better: '"reports", "says nothing about"' },
  { find: /\bhear(?:s|d)? (?:nothing|of)\b|\bnothing (?:is |was )?heard\b/i, better: '"learns", "no heartbeat"' },
  { find: /\b(?:is|are|was|were|been) (?:said|spoken)\b/i, better: '"written", "sent", "stated"' },
  {
    find: /\b(?:is|are|was|were|been) looked (?:at|for|into|up to)\b/i,
    better: '"is read", "is searched", "is checked"',
  },
  { find: /\bwarned of\b|\btold to\b/i, better: '"a warning is logged", "configured to"' },
  { find: /\bhushed up\b/i, better: '"swallowed"' },
  { find: /\b(?:is|are|was|were) not taken\b/i, better: '"is rejected"' },
  { find: /\bmeant to be\?/i, better: '"Unexpected argument: …"' },
  // Where things stand and lie.
  {
    find: /\b(?:stands|stood)\b/i,
    better: '"is", "applies", "remains"',
    unless: /\bstands (?:for|in for|out|alone)\b/i,
  },
  { find: /\bthat stand\b|\bas (?:it|they) stand\b/i, better: '"that is", "as it is", "unchanged"' },
  { find: /\blies\b|\blay (?:in|at|on|beside|between|there|here|under|behind|before)\b/i, better: '"is"' },
  // Going, coming, giving.
  {
    find: /\b(?:go|goes|going|gone|went) on\b(?! (?:the|a|an|fire|top)\b)/i,
    better: '"continue", "resume"',
  },
  { find: /\b(?:come|comes|came|coming) back\b/i, better: '"returns", "reconnects", "recovers"' },
  { find: /\b(?:give|gives|gave|given|giving) back\b/i, better: '"returns", "releases"' },
  { find: /\b(?:give|gives|gave|given) way\b/i, better: '"yields"' },
  { find: /\b(?:take|takes|took|taken|taking) (?:it |them |one )?back\b/i, better: '"revoke", "undo", "retract"' },
  { find: /\b(?:hand|hands|handed|handing) (?:it |them )?on\b/i, better: '"pass on", "forward"' },
  { find: /\b(?:hang|hangs|hung|hanging) up\b/i, better: '"disconnect"' },
  {
    find: /\bpass(?:es|ed)? (?:it |them )?over\b(?! (?:the|a|an|to|HTTP|WebSocket)\b)/i,
    better: '"ignore", "skip"',
    unless: /\b(?:one|a|single|second|each) pass over\b/i,
  },
  { find: /\bhold(?:s|ing)? back\b|\bheld back\b|\bholds? (?:it|them|its owner) back\b/i, better: '"delay", "buffer"' },
  { find: /\bsees? to it\b/i, better: '"ensures"' },
  { find: /\bneeds not\b|\bneed stay\b/i, better: '"does not need to"' },
  { find: /\b(?:can|could|cannot|may|is|are|to) be had\b/i, better: '"is available"' },
  { find: /\bdealt\b/i, better: '"assigned"', unless: /\bdealt with\b/i },
  { find: /\bmend(?:s|ed|ing)?\b/i, better: '"fix", "repair"' },
  { find: /\bclos(?:e|es|ed) in order\b/i, better: '"close cleanly"' },
  // Time.
  { find: /\banew\b/i, better: '"again", "new", "resets"' },
  { find: /\bnow and then\b/i, better: '"periodically", "occasionally"' },
  { find: /\bnot any more\b|\bany more[.,;:)"']/i, better: '"no longer"' },
  { find: /\b(?:is|are|was) (?:a |an )?(?:\w+ )?no more\b/i, better: '"is no longer …"' },
  { find: /\bno (?:member|owner|editor|viewer) (?:any )?more\b/i, better: '"no longer a member"' },
  {
    find: /\b(?:token|sign-in|invitation|lease|time|link|day|month|window|period|it) (?:is|are|was) (?:nearly )?over\b(?! [\w`])/i,
    better: '"has expired", "has ended"',
  },
  { find: /\bfor good\b/i, better: '"permanently"' },
  {
    find: /\b(?:by|of) (?:itself|themselves)\b/i,
    better: '"automatically", "by default", "on its own"',
    unless: /\bline by itself\b/i,
  },
  {
    find: /\b(?:in|at|with) (?:one|a|each|every|the next|the last|another) look\b/i,
    better: '"read", "poll", "check"',
  },
  { find: /\b(?:page|answer) (?:that )?(?:one|a client) waits for\b|\bpages? that waits?\b/i, better: '"long poll"' },
  // Words of former times.
  { find: /\b(?:upon|thereof|wherein|whereof|herein|whence|whereupon|thence|hitherto)\b/i, better: 'a plain word' },
  { find: /\bwhose word\b/i, better: '"trusted"' },
  { find: /\bof before\b/i, better: '"previous", "earlier"' },
  { find: /\bbut for\b/i, better: '"except"' },
  { find: /\ball else\b/i, better: '"everything else"' },
  { find: /\ball that (?:is|was|are|were|has|can|could|it|they|came|comes)\b/i, better: '"everything that …"' },
  { find: /\bin (?:the )?place of\b/i, better: '"instead of"' },
  // Our own words where the field has one.
  {
    find: /(?<![-/.\w])doors?\b(?![-/(.=]\w|\s*[=!~]|['"]?\s*:\s)/i,
    better: '"transport"',
    unless: /\{\{\s*door|[(,]\s*door\s*[,)]|label\w* .?door/i,
  },
  { find: /\bdesks?\b/i, better: '"service"', unless: /\bhelp desk\b/i },
  { find: /\bshel(?:f|ves)\b/i, better: '"administration", "store"', unless: /\boff the shelf\b/i },
  { find: /\broll(?:s|ed|ing)? (?:it |them |this )?up\b/i, better: '"compact", "compaction"' },
  { find: /\b(?:re|un)?fold(?:s|ed|ing)?\b/i, better: '"apply", "reduce", "replay"; in the page "collapse", "expand"' },
  { find: /\b(?:un)?seal(?:s|ed|ing)?\b/i, better: '"finish", "close", "compact"' },
  { find: /\b(?:un)?settl(?:e|es|ed|ing)\b/i, better: '"finish", "checkpoint", "decide"', unless: /promise/i },
  {
    find: /\b(?:the|a|its|this|that|one|each|every|no|which|over|under|beyond) bound\b|\bbounds (?:of|on|for|the|are|is)\b/i,
    better: '"limit"',
    unless: /\b(?:upper|lower|within) bounds?\b|\bbound to\b/i,
  },
  { find: /\broll[- ]?call\b/i, better: '"scatter-gather"' },
  { find: /\bpursui(?:t|ts)\b|\bpursue[sd]?\b/i, better: '"catch-up"' },
  { find: /\bpullers?\b/i, better: '"pull consumer"' },
  { find: /\bleavers?\b/i, better: '"disconnected users"' },
]

/**
 * Texts that may say so: each names a file by the end of its path, and what a hit there contains. Names on the wire
 * need none: inline code, and texts of one word, are not read.
 * @type {{ file: RegExp, text: RegExp, why: string }[]}
 */
export const EXCEPTIONS = [
  { file: /scripts\/(?:language-rules|check-language)\.mjs$/, text: /./, why: 'the rules themselves' },
  { file: /test\/language\.test\.ts$/, text: /./, why: 'the examples of the test' },
  { file: /protocol\/test\/golden-frames\.ts$/, text: /./, why: 'texts inside frames whose bytes are pinned' },
  {
    file: /docs\/glossary\.md$/,
    text: /door|owner|epoch|roll up|fold|seal/i,
    why: 'the glossary names the former and the wire words',
  },
]
