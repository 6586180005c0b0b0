// Settings of the relay, and of the nodes that use it.
import { z } from 'zod'
import { isSecret, SECRET_RULE } from '../auth/secret-file.ts'
import { list, setting, whole } from './setting.ts'

const HOUR_MS = 60 * 60 * 1000
const MIB = 1024 * 1024

const relayUrl = z.string().refine((url) => /^unix:\/./.test(url) || (URL.canParse(url) && /^https?:/.test(url)), {
  error: 'must be http or https URLs, or unix: followed by the absolute path of a socket, separated by commas',
})
const target = z.url({ protocol: /^https?$/, error: 'must be http or https URLs, separated by commas' })

export const relay = {
  relayUrl: setting(
    'PARLEY_RELAY_URL',
    list.pipe(z.array(relayUrl).min(1)),
    undefined,
    'Addresses of relays, separated by commas: http://…, https://… or unix:/path. Runs then call their models through them, so that an answer survives the process that drives it. With PARLEY_ROLE=relay, a unix: address is the socket to listen on.',
  ),
  relaySecret: setting(
    'PARLEY_RELAY_SECRET',
    list.pipe(z.array(z.string().refine(isSecret, { error: SECRET_RULE })).min(1)),
    undefined,
    'Secret of at least 32 bytes that nodes and relays share. A relay accepts several, separated by commas; a node uses the first.',
    { secret: true },
  ),
  relayTargets: setting(
    'PARLEY_RELAY_TARGETS',
    list.pipe(z.array(target).min(1)),
    undefined,
    "Base URLs that a relay may request, separated by commas. Unset: those of the providers, from the providers' own variables and PARLEY_COMPATIBLE_URL, and of the remote agents in the configuration file.",
  ),
  relayOrphanMs: setting(
    'PARLEY_RELAY_ORPHAN_MS',
    whole(1_000, HOUR_MS),
    60_000,
    'Time without a reader after which a relay ends a stream and its request to the provider (ms).',
  ),
  relayStreams: setting(
    'PARLEY_RELAY_STREAMS',
    whole(1, 1_000_000),
    10_000,
    'Number of streams that a relay holds. Nodes send further requests to the provider directly.',
  ),
  relayStreamBytes: setting(
    'PARLEY_RELAY_STREAM_BYTES',
    whole(64 * 1024, 2 ** 30),
    16 * MIB,
    'Size of one stream beyond which a relay drops what the node has read, and otherwise holds the provider back (bytes). A run cannot be resumed from a stream without its beginning.',
  ),
  relayBytes: setting(
    'PARLEY_RELAY_BYTES',
    whole(MIB, 2 ** 40),
    1024 * MIB,
    'Size of all streams and requests that a relay holds (bytes).',
  ),
  recovery: setting(
    'PARLEY_RECOVERY',
    z.enum(['continue', 'restart'], { error: 'must be continue or restart' }),
    'continue',
    'What happens to an answer whose driver and relay are lost: continue (the model continues from the stored text if it can) or restart.',
  ),
} as const
