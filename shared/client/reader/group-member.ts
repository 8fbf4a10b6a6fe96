import { setTimeout as sleep } from "node:timers/promises";
import { type NatsConnection, nuid } from "@nats-io/transport-node";
import { errorText } from "../../protocol/error-text.ts";
import { readerSubject } from "../../protocol/subjects.ts";
import { StoreUnavailable } from "../append-errors.ts";
import { afterBeat, afterLeaving, Sightings, shareOut } from "./group-plan.ts";
import { ReaderDiffers, ReaderTaken } from "./reader-errors.ts";
import type { GroupRecord } from "./reader-record.ts";
import { readRecord, replaceRecord } from "./record-store.ts";
import type { ReadFilter } from "./subscribe-options.ts";
import { untilStored } from "./until-stored.ts";

export interface GroupMemberInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly name: string;
  readonly partitions: number;
  readonly leaseMs: number;
  readonly filter: ReadFilter;
  /** The checkpoint with which a new group begins. */
  readonly begin: () => Promise<string>;
  /** After a beat, with what the group agreed on; not called again before it is done. */
  readonly onBeat: (group: GroupRecord) => Promise<void>;
  readonly onNotice: (line: string) => void;
  /** The group can't go on in this process. */
  readonly onFailure: (error: unknown) => void;
}

const BEATS_PER_LEASE = 4;

/** A process's place in a group: says that it is there, and who is to read what. One record of `CIM_READERS` per group. */
export class GroupMember {
  readonly id = nuid.next();
  readonly #init: GroupMemberInit;
  readonly #subject: string;
  readonly #sightings: Sightings;
  readonly #stop = new AbortController();
  #begin: string | undefined;
  #beating: Promise<void> = Promise.resolve();
  #settling: Promise<void> | undefined;
  #lastBeatMs = Number.NEGATIVE_INFINITY;

  constructor(init: GroupMemberInit) {
    this.#init = init;
    this.#subject = readerSubject(init.name);
    this.#sightings = new Sightings(init.leaseMs);
  }

  /** Others still count on this process: its last beat that was stored began less than a lease ago. */
  get isPresent(): boolean {
    return performance.now() - this.#lastBeatMs < this.#init.leaseMs;
  }

  /** Joins. @throws {ReaderDiffers} {StoreUnavailable} */
  async start(): Promise<this> {
    const { nc, node, name } = this.#init;
    const group = await untilStored(nc, node, `joining the group ${name}`, () => this.#beat(true));
    this.#beating = this.#beatOn(group);
    return this;
  }

  /** No beat and no `onBeat` any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#beating;
    await this.#settling;
  }

  /** Leaves: the others share its partitions out at their next beat. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    const { nc, node, name, leaseMs, onNotice } = this.#init;
    if (nc.isClosed()) return;
    const leave = async () => {
      const found = await readRecord(nc, this.#subject);
      if (found?.record?.kind !== "group" || !(this.id in found.record.members)) return true;
      const seq = await replaceRecord(nc, this.#subject, afterLeaving(found.record, this.id), found.seq);
      return seq === undefined ? undefined : true;
    };
    await untilStored(nc, node, `leaving the group ${name}`, leave, leaseMs).catch((error: unknown) =>
      // The others find out by themselves.
      onNotice(errorText(error)),
    );
  }

  async #beatOn(joined: GroupRecord): Promise<void> {
    const { nc, node, name, leaseMs, onBeat } = this.#init;
    const { signal } = this.#stop;
    let group = joined;
    while (!signal.aborted) {
      try {
        // Beats go on while a partition is opened, however long that takes.
        this.#settling ??= onBeat(group)
          .catch((error: unknown) => void this.#tell(error))
          .finally(() => {
            this.#settling = undefined;
          });
        await sleep(leaseMs / BEATS_PER_LEASE, undefined, { signal });
        group = await untilStored(nc, node, `the beat of ${name}`, () => this.#beat(false), leaseMs);
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#tell(error)) return;
      }
    }
  }

  /** @returns whether it may pass */
  #tell(error: unknown): boolean {
    if (error instanceof StoreUnavailable) this.#init.onNotice(error.message);
    else this.#init.onFailure(error);
    return error instanceof StoreUnavailable;
  }

  /** @returns undefined: another member wrote at the same time */
  async #beat(isJoining: boolean): Promise<GroupRecord | undefined> {
    const { nc, name, partitions, filter, begin } = this.#init;
    const atMs = performance.now();
    const found = await readRecord(nc, this.#subject);
    const before = found?.record;
    if (!isJoining && before?.kind === "removed")
      throw new ReaderTaken(
        `${name} was removed: what was not saved is handled again by whoever begins it anew`,
      );
    if (found && before?.kind !== "removed" && before?.kind !== "group")
      throw new ReaderDiffers(`durable: ${name} is read by one process; take another name for a group`);
    let group: GroupRecord;
    if (before?.kind === "group") {
      if (before.owners.length !== partitions) {
        throw new ReaderDiffers(
          `group.partitions: ${name} has ${before.owners.length}, not ${partitions}; write ${before.owners.length}, or take another name`,
        );
      }
      group = before;
    } else {
      this.#begin ??= await begin();
      const owners = shareOut(Array<string>(partitions).fill(""), [this.id]);
      group = { kind: "group", begin: this.#begin, filter, members: {}, owners };
    }
    this.#begin = group.begin;
    const present = this.#sightings.look(group.members, performance.now());
    const next = { ...afterBeat(group, this.id, present), filter };
    if ((await replaceRecord(nc, this.#subject, next, found?.seq ?? 0)) === undefined) return undefined;
    this.#lastBeatMs = atMs;
    return next;
  }
}
