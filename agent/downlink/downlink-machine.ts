import { AwaitedAnswer } from "../../shared/follow/awaited-answer.ts";
import { continuation } from "../../shared/follow/continuity.ts";
import { lastCommonPosition, type ReignHistory, sequenceOf } from "../../shared/follow/reign-history.ts";
import type { OutgoingMessage, WriteResult } from "../../shared/nats/batch-publisher.ts";
import { type StoredMessage, weightOf } from "../../shared/protocol/event.ts";
import { carriedLogHeaders } from "../../shared/protocol/headers.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
import { logPublishSubject } from "../../shared/protocol/subjects.ts";

export interface LogView extends ReignHistory {
  /** Index of the log's first message; 0: it is empty. */
  readonly firstIndex: number;
}

export type DownlinkOutput =
  /** Read the copy's and the log's histories; answered by `surveyed`. */
  | { readonly do: "survey"; readonly token: number }
  /** Read the log from that sequence of its stream on and `offer` what comes, while `hungry`. */
  | { readonly do: "read"; readonly fromSeq: number; readonly after: LogPosition | undefined }
  | { readonly do: "stop-reading" }
  /** Append to the copy, expecting its end; answered by `written`. One at a time. */
  | { readonly do: "write"; readonly messages: readonly OutgoingMessage[]; readonly last: LogPosition }
  /**
   * What the copy has beyond that index the log does not have. Own events among them first go up again; others' are set
   * aside; then they are deleted, newest first. Answered by `discarded`.
   */
  | { readonly do: "discard"; readonly token: number; readonly beyond: number }
  /** Empty the copy; answered by `discarded`. */
  | { readonly do: "empty"; readonly token: number }
  | { readonly do: "wait" }
  | { readonly do: "raise"; readonly code: DownlinkCondition; readonly detail: string };

export type DownlinkCondition = "copy-diverged" | "copy-behind-log-start";

export interface DownlinkSettings {
  /** Every domain is followed: indexes grow by one. */
  readonly everything: () => boolean;
  readonly batchEvents: number;
  readonly batchBytes: number;
  readonly maxQueueBytes: number;
}

interface Queued {
  readonly message: OutgoingMessage;
  readonly position: LogPosition;
  readonly weight: number;
}

/**
 * Keeps a copy of the log. Pure. The position is the copy's own last message; every time it starts, and whenever a
 * message does not continue the one before, copy and log are matched again.
 */
export class DownlinkMachine {
  readonly #settings: DownlinkSettings;
  #phase: "idle" | "surveying" | "mending" | "following" = "idle";
  readonly #awaited = new AwaitedAnswer();
  /** Last message durably in the copy. */
  #position: LogPosition | undefined;
  /** Last message taken over from the log. */
  #offered: LogPosition | undefined;
  #queue: Queued[] = [];
  #queueBytes = 0;
  #writing: Queued[] | undefined;
  #failures = 0;

  constructor(settings: DownlinkSettings) {
    this.#settings = settings;
  }

  get phase(): "idle" | "surveying" | "mending" | "following" {
    return this.#phase;
  }

  get position(): LogPosition | undefined {
    return this.#position;
  }

  get hungry(): boolean {
    return this.#queueBytes < this.#settings.maxQueueBytes;
  }

  get idle(): boolean {
    return this.#writing === undefined && this.#queue.length === 0;
  }

  /** Whether what was asked for under that token is still waited for. */
  awaits(token: number): boolean {
    return this.#awaited.is(token);
  }

  begin(): DownlinkOutput[] {
    const stop = this.#drop();
    this.#phase = "surveying";
    // The copy's end is known only after the write that is under way.
    return this.#writing ? stop : [...stop, this.#survey()];
  }

  lost(): DownlinkOutput[] {
    const stop = this.#drop();
    this.#phase = "idle";
    return stop;
  }

  surveyed(
    token: number,
    seen: { readonly copy: ReignHistory; readonly log: LogView } | undefined,
  ): DownlinkOutput[] {
    if (!this.#awaited.came(token)) return [];
    if (!seen) return this.#later();
    const { copy, log } = seen;
    if (this.#refills) {
      this.#refills = false;
      this.#phase = "mending";
      return [{ do: "empty", token: this.#awaited.ask() }];
    }
    this.#position = copy.last;
    this.#offered = copy.last;
    if (!copy.last) {
      if (log.firstIndex === 0) return this.#follow(1, undefined);
      return this.#follow(log.reigns[0]?.seq ?? 1, { beforeFirst: log.firstIndex - 1 });
    }
    if (log.firstIndex > copy.last.index + 1) {
      const detail = `the copy ends at ${copy.last.index}, the log begins at ${log.firstIndex}: the copy is filled anew`;
      this.#phase = "mending";
      return [
        { do: "raise", code: "copy-behind-log-start", detail },
        { do: "empty", token: this.#awaited.ask() },
      ];
    }
    const common = lastCommonPosition(copy, log);
    // All that the log has begins right after the copy: there is nothing in common left to compare, and what comes first
    // tells itself what it follows.
    const purged = log.firstIndex === copy.last.index + 1;
    if (purged && (!common || common.index === copy.last.index))
      return this.#follow(log.reigns[0]?.seq ?? 1, undefined);
    if (!common || common.index < copy.last.index) {
      const beyond = common?.index ?? 0;
      const detail = `the copy ends at ${copy.last.index}, the log has the same only up to ${beyond}: what is beyond is set aside`;
      this.#phase = "mending";
      return [
        { do: "raise", code: "copy-diverged", detail },
        { do: "discard", token: this.#awaited.ask(), beyond },
      ];
    }
    const seq = sequenceOf(log, common);
    if (seq === undefined) return this.#later();
    return this.#follow(seq + 1, undefined);
  }

  /** The copy was mended: look again. */
  discarded(token: number, done: boolean): DownlinkOutput[] {
    if (!this.#awaited.came(token)) return [];
    return done ? this.begin() : this.#later();
  }

  /** Lets go of all that the copy holds and follows from the log's beginning; nothing: it does not follow just now. */
  refill(): DownlinkOutput[] {
    if (this.#phase !== "following") return [];
    this.#refills = true;
    // What is being written is in the copy before it is emptied.
    return this.begin();
  }

  /** Messages of the log in its order. */
  offer(messages: readonly StoredMessage[]): DownlinkOutput[] {
    if (this.#phase !== "following") return [];
    for (const message of messages) {
      const next = continuation(this.#offered, message, this.#settings.everything() && !this.#gapAtStart);
      if (next.kind === "repeated" || next.kind === "foreign") continue;
      if (next.kind === "broken") return this.#failures++ > 2 ? this.#later() : this.begin();
      this.#gapAtStart = false;
      this.#offered = next.position;
      const outgoing = {
        subject: logPublishSubject(message.subject),
        headerText: carriedLogHeaders(message.headerText),
        body: message.body,
      };
      const weight = weightOf(outgoing);
      this.#queue.push({ message: outgoing, position: next.position, weight });
      this.#queueBytes += weight;
    }
    return this.#pump();
  }

  /** The reader ended: match again. */
  broken(): DownlinkOutput[] {
    return this.#phase === "following" ? this.begin() : [];
  }

  written(result: WriteResult): DownlinkOutput[] {
    const writing = this.#writing;
    if (!writing) return [];
    this.#writing = undefined;
    if (this.#phase === "surveying") return [this.#survey()];
    if (result.kind !== "stored") return this.#phase === "following" ? this.#later() : [];
    this.#failures = 0;
    this.#position = writing.at(-1)?.position ?? this.#position;
    return this.#phase === "following" ? this.#pump() : [];
  }

  /** The log was purged before its first message: the first index may be any. */
  #gapAtStart = false;
  #refills = false;

  #follow(fromSeq: number, start: { readonly beforeFirst: number } | undefined): DownlinkOutput[] {
    this.#phase = "following";
    this.#gapAtStart = start !== undefined && start.beforeFirst > 0;
    return [{ do: "read", fromSeq, after: this.#position }];
  }

  #pump(): DownlinkOutput[] {
    if (this.#writing || this.#queue.length === 0) return [];
    const { batchEvents, batchBytes } = this.#settings;
    let bytes = 0;
    let count = 0;
    for (const { weight } of this.#queue) {
      if (count > 0 && (count >= batchEvents || bytes + weight > batchBytes)) break;
      bytes += weight;
      count++;
    }
    this.#writing = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#queueBytes -= bytes;
    const last = (this.#writing.at(-1) as Queued).position;
    return [{ do: "write", messages: this.#writing.map(({ message }) => message), last }];
  }

  #later(): DownlinkOutput[] {
    const stop = this.#drop();
    this.#phase = "idle";
    return [...stop, { do: "wait" }];
  }

  #drop(): DownlinkOutput[] {
    const reading = this.#phase === "following";
    this.#queue = [];
    this.#queueBytes = 0;
    this.#awaited.forget();
    return reading ? [{ do: "stop-reading" }] : [];
  }

  #survey(): DownlinkOutput {
    return { do: "survey", token: this.#awaited.ask() };
  }
}
