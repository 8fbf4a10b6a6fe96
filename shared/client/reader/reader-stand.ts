import type { NatsConnection } from "@nats-io/transport-node";
import type { StreamHistory } from "../../follow/read-history.ts";
import { streamState } from "../../nats/jetstream-api.ts";
import { ALL_DOMAINS, marksRecord, readRecord } from "../../protocol/control-records.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { STREAM } from "../../protocol/names.ts";
import { formatLogPosition } from "../../protocol/reign.ts";
import { controlRecordSubject, domainOf } from "../../protocol/subjects.ts";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  NOWHERE,
  type OwnRead,
  reignWords,
  type Standing,
} from "./checkpoint.ts";
import { evenFrontier, readFrom, readUpTo } from "./frontier.ts";
import { type PlaceInLog, placeAtEnd, placeAtTime } from "./log-at-time.ts";
import { type Course, LogCourse } from "./log-course.ts";
import { type Lane, Merge, nothingOf } from "./merge.ts";
import { findLogStart, type LogStart, logHistory, recordsAround } from "./open-log.ts";
import { ownInMarks, ownUpTo } from "./own-outbox.ts";
import { CheckpointInvalid } from "./reader-errors.ts";
import { domainsOf, type SubscribeOptions } from "./subscribe-options.ts";

const DEFAULT_WAIT_MS = 10_000;
const MARKS = controlRecordSubject("marks");

/** Where a reader stands in the log and in the outboxes, and from where it goes on. */
export class ReaderStand {
  readonly merge: Merge;
  readonly course: LogCourse;
  /** Domains that are read; undefined: all. */
  readonly domains: readonly string[] | undefined;
  /** Up to where the log is known to have own events, where the reader stands. */
  backTo = 0;
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #options: SubscribeOptions;
  #reigns: readonly string[];
  #lanes: readonly Lane[];
  #lanesOf: Pick<Merge, "own" | "others">;
  #ownRead: OwnRead | undefined;
  #begun = false;

  /** @throws CheckpointInvalid */
  constructor(nc: NatsConnection, node: string, options: SubscribeOptions) {
    const { from } = options;
    if (from instanceof Date && Number.isNaN(from.getTime()))
      throw new CheckpointInvalid("from: the Date is not valid");
    const isPlace = from instanceof Date || from === "start" || from === "now";
    const given = isPlace ? NOWHERE : decodeCheckpoint(from);
    this.#nc = nc;
    this.#node = node;
    this.#options = options;
    this.domains = domainsOf(options);
    this.merge = new Merge(node, given.lanes);
    this.course = new LogCourse(node, given);
    this.#reigns = given.reigns;
    if (given.ownRead?.node === node) this.#ownRead = given.ownRead;
    this.#lanes = this.merge.lanes;
    this.#lanesOf = { own: this.merge.own, others: this.merge.others };
  }

  /** As of now; never changed. */
  get standing(): Standing {
    const { own, others } = this.merge;
    if (own !== this.#lanesOf.own || others !== this.#lanesOf.others) {
      this.#lanesOf = { own, others };
      this.#lanes = this.merge.lanes;
    }
    return { ...this.course.standing, reigns: this.#reigns, lanes: this.#lanes, ownRead: this.#ownRead };
  }

  get checkpoint(): string {
    return encodeCheckpoint(this.standing);
  }

  /** Every domain is here, in the log's order. */
  get hasAll(): boolean {
    return this.course.standing.read.live.includes(ALL_DOMAINS);
  }

  /** An event of the outbox that was read in the log. */
  isRead({ seq, subject }: StoredMessage): boolean {
    const known = this.#ownRead;
    if (!known || seq > known.seq) return false;
    return readUpTo(this.course.standing.read, domainOf(subject)) >= known.index;
  }

  /** A message of the log or copy, in its order. */
  take(message: StoredMessage): Course {
    if (message.subject === MARKS)
      this.came(ownInMarks(this.#node, readRecord(marksRecord, message))?.seq ?? 0);
    return this.course.take(message);
  }

  /** The log has own events up to there. */
  came(seq: number): void {
    this.backTo = Math.max(this.backTo, seq);
  }

  /** Finds from where the log is read. undefined: this node keeps none. @throws ReaderAhead, EventsGone */
  async begin(signal: AbortSignal, notice: (line: string) => void): Promise<LogStart | undefined> {
    const start = await this.#find(signal, notice);
    if (!start) return undefined;
    this.#reigns = reignWords(start.history);
    const { copy, later, marks } = await recordsAround(this.#nc, start.startSeq);
    this.course.begin(start.read, copy, later);
    this.backTo = ownInMarks(this.#node, marks)?.seq ?? 0;
    return start;
  }

  async #find(signal: AbortSignal, notice: (line: string) => void): Promise<LogStart | undefined> {
    const { from, waitMs = DEFAULT_WAIT_MS } = this.#options;
    const { merge } = this;
    if (!this.#begun && this.course.standing.log === undefined) {
      if (from === "now") return await this.#beginAt("now");
      if (from instanceof Date) return await this.#beginAt(from);
    }
    const search = { waitMs, signal, notice, domains: this.domains };
    const start = await findLogStart(this.#nc, this.#node, this.standing, search);
    // What the log has of this node's before the place where reading begins is not to come from the outbox.
    if (start?.ownUpTo) await this.#markOwn(start.history, start.ownUpTo);
    else merge.own ??= nothingOf(this.#node);
    return start;
  }

  /** Of this node's events some may have been read in a log elsewhere, also since it was read here. */
  async #markOwn(history: StreamHistory, { all, some }: NonNullable<LogStart["ownUpTo"]>): Promise<void> {
    const { merge } = this;
    const newest = await ownUpTo(this.#nc, this.#node, history, some);
    merge.own ??= all === some ? newest : await ownUpTo(this.#nc, this.#node, history, all);
    this.#ownRead =
      newest.seq > merge.own.seq ? { node: this.#node, seq: newest.seq, index: some } : undefined;
  }

  async #beginAt(from: "now" | Date): Promise<LogStart | undefined> {
    const nc = this.#nc;
    // The outbox first: what is written between is in neither.
    const { last_seq: seq } = await streamState(nc, STREAM.outbox);
    if (from === "now") this.merge.own ??= { ...nothingOf(this.#node), seq, from: 1 };
    const history = await logHistory(nc);
    // Whatever a log has that is not there yet is newer than now.
    if (!history) {
      this.#begun = from === "now";
      return undefined;
    }
    const place =
      from === "now" ? await placeAtEnd(nc, history) : await placeAtTime(nc, history, from.getTime());
    this.merge.own ??= await ownUpTo(nc, this.#node, history, place.position?.index ?? 0);
    this.#begun = true;
    return this.#standAt(place, history);
  }

  /** A checkpoint of an own event that comes before any of the log is to go on from where reading began. */
  #standAt({ position, startSeq }: PlaceInLog, history: StreamHistory): LogStart {
    const read = readFrom(evenFrontier(position?.index ?? 0));
    const log = position && formatLogPosition(position);
    this.course.stand({ log, local: undefined, read });
    return { startSeq, history, read };
  }
}
