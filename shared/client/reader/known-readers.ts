import type { NatsConnection } from "@nats-io/transport-node";
import { countMessages } from "../../nats/count-messages.ts";
import { unlessMissing } from "../../nats/jetstream-api.ts";
import { STREAM } from "../../protocol/names.ts";
import { readerSubject, SUBJECT } from "../../protocol/subjects.ts";
import { decodeCheckpoint, NOWHERE, type Standing } from "./checkpoint.ts";
import { readRecord, readRecords, replaceRecord, type StoredRecord } from "./record-store.ts";
import { filtersOf, type ReadFilter } from "./subscribe-options.ts";
import { needReadersStream, untilStored } from "./until-stored.ts";

/** A durable name, as the node has it; of a group, one of its partitions. */
export interface KnownReader {
  /** `billing`; `billing.3` of a group. */
  readonly name: string;
  readonly filter: ReadFilter;
  readonly checkpoint: string | undefined;
  /** `<epoch>-<reign>.<index>`; undefined: nothing of the log was read, or it is of a newer build. */
  readonly position: string | undefined;
  /** Up to where the node's own events were read, by sequence of its outbox. */
  readonly ownSeq: number | undefined;
  /** What matches and was not read when it was saved. undefined: not known, the checkpoint came from another node or a newer build. */
  readonly lag: { readonly log: number | undefined; readonly outbox: number | undefined };
  readonly savedAt: Date;
}

/** All names of a node, by name. @throws StoreUnavailable a node of an older build */
export async function knownReaders(nc: NatsConnection, node: string): Promise<KnownReader[]> {
  await needReadersStream(nc, node);
  const found: KnownReader[] = [];
  for (const stored of await readRecords(nc, SUBJECT.readers)) {
    const { record } = stored;
    if (record?.kind !== "reader") continue;
    const standing = standingOf(record.checkpoint);
    found.push({
      name: nameOf(stored),
      filter: record.filter,
      checkpoint: record.checkpoint,
      position: standing?.log,
      ownSeq: standing?.lanes.find((lane) => lane.node === node && lane.seq > 0)?.seq,
      lag: standing ? await lagOf(nc, node, record.filter, standing) : { log: undefined, outbox: undefined },
      savedAt: new Date(stored.timeUs / 1000),
    });
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Removes a name; of a group, all its partitions too. Processes that read under it get `ReaderTaken`.
 * @returns whether there was one
 */
export async function removeReader(nc: NatsConnection, node: string, name: string): Promise<boolean> {
  // Not purged: that would need a right over the stream, and so the name is known to have been removed.
  const remove = (subject: string) =>
    untilStored(nc, node, `removing ${name}`, async () => {
      const found = await readRecord(nc, subject);
      if (!found || found.record?.kind === "removed") return { kind: undefined };
      const seq = await replaceRecord(nc, subject, { kind: "removed" }, found.seq);
      return seq === undefined ? undefined : { kind: found.record?.kind };
    });
  const { kind } = await remove(readerSubject(name));
  if (kind === "group") {
    // After the group: a member that still beats would claim them again.
    for (const { subject } of await readRecords(nc, readerSubject(`${name}.*`))) await remove(subject);
  }
  return kind !== undefined;
}

/** undefined: the checkpoint is of a newer build, which is not to hide the others. */
function standingOf(checkpoint: string | undefined): Standing | undefined {
  try {
    return checkpoint === undefined ? NOWHERE : decodeCheckpoint(checkpoint);
  } catch {
    return undefined;
  }
}

const nameOf = ({ subject }: StoredRecord): string => subject.slice(readerSubject("").length);

async function lagOf(
  nc: NatsConnection,
  node: string,
  filter: ReadFilter,
  { log, local, lanes }: Standing,
): Promise<KnownReader["lag"]> {
  const filters = filtersOf(filter);
  const count = (stream: string, after: number, subjects: readonly string[]) =>
    unlessMissing(countMessages(nc, stream, after + 1, subjects)).then((found) => found ?? 0);
  const own = lanes.find((lane) => lane.node === node);
  const logAfter = local?.node === node ? local.seq : log === undefined ? 0 : undefined;
  const ownAfter = own?.seq ?? (log === undefined ? 0 : undefined);
  const controlRecords =
    filters.length === 0 && logAfter !== undefined
      ? await count(STREAM.events, logAfter, [SUBJECT.controlRecords])
      : 0;
  return {
    log:
      logAfter === undefined ? undefined : (await count(STREAM.events, logAfter, filters)) - controlRecords,
    outbox: ownAfter === undefined ? undefined : await count(STREAM.outbox, ownAfter, filters),
  };
}
