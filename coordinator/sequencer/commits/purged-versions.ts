import type { NatsConnection } from "@nats-io/transport-node";
import { type Contracts, contractFor } from "../../../shared/consistency/contract/contract.ts";
import { strongIn } from "../../../shared/consistency/contract/strong-domains.ts";
import { positionOf } from "../../../shared/follow/read-history.ts";
import { MAX_BATCH_MESSAGES, writeAtomically, writeOne } from "../../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../../shared/nats/get-message.ts";
import { StreamReader } from "../../../shared/nats/stream-reader.ts";
import { commitAggregate, parseVersion, purgedVersionSubject } from "../../../shared/protocol/commit.ts";
import type { StoredMessage } from "../../../shared/protocol/event.ts";
import { STREAM } from "../../../shared/protocol/names.ts";
import { domainFilter, domainOf, isDomain, SUBJECT } from "../../../shared/protocol/subjects.ts";

/** A read that makes no progress for so long has lost its server. */
const READ_SILENCE_MS = 5000;

/** At which versions these messages of the log leave aggregates of strong domains. Pure. */
export function newestVersions(
  messages: Iterable<StoredMessage>,
  isStrong: (domain: string) => boolean,
  versions = new Map<string, number>(),
): Map<string, number> {
  for (const message of messages) {
    const index = positionOf(message)?.index;
    const domain = domainOf(message.subject);
    if (index !== undefined && isDomain(domain) && isStrong(domain))
      versions.set(commitAggregate(message.subject), index);
  }
  return versions;
}

/**
 * Before a part of the log is purged: at which versions it leaves aggregates of strong domains, so that one that has rested
 * for longer than the log is kept is not taken for one that never was.
 * @throws the client's error, ReaderBroken, or what the server refused: then nothing may be purged
 */
export async function keepVersions(
  { nc, inboxPrefix }: { readonly nc: NatsConnection; readonly inboxPrefix: string },
  contracts: Contracts,
  part: { readonly startSeq: number; readonly lastSeq: number },
): Promise<void> {
  const strong = strongIn(contracts);
  const filters = strong.all ? [SUBJECT.allEvents] : strong.domains.map(domainFilter);
  if (filters.length === 0 || part.lastSeq < part.startSeq) return;
  const isStrong = (domain: string) => contractFor(contracts, domain).mode === "strong";
  const versions = new Map<string, number>();
  await using reader = await new StreamReader({
    nc,
    inboxPrefix,
    stream: STREAM.events,
    startSeq: part.startSeq,
    headersOnly: true,
    filters,
    silenceMs: READ_SILENCE_MS,
  }).start();
  for await (const messages of reader.backlog(part.lastSeq)) newestVersions(messages, isStrong, versions);
  const records = [...versions].map(([aggregate, version]) => ({
    subject: purgedVersionSubject(aggregate),
    headerText: "",
    body: Buffer.from(String(version)),
  }));
  for (let at = 0; at < records.length; at += MAX_BATCH_MESSAGES) {
    const some = records.slice(at, at + MAX_BATCH_MESSAGES);
    const [only] = some;
    const result = some.length === 1 && only ? await writeOne(nc, only) : await writeAtomically(nc, some);
    if (result.kind !== "stored") throw new Error(`${STREAM.versions}: ${result.reason}`);
  }
}

/** The version at which an aggregate was when its newest event was purged; 0: none of it ever was; undefined: it can't be read. */
export async function purgedVersion(nc: NatsConnection, aggregate: string): Promise<number | undefined> {
  const kept = await getMessage(nc, STREAM.versions, { last_by_subj: purgedVersionSubject(aggregate) });
  return kept ? parseVersion(Buffer.from(kept.body).toString("utf8")) : 0;
}
