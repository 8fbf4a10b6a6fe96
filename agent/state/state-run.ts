import { LaneHistory } from "../../shared/consistency/clock/lane-history.ts";
import { isLaneRecord, takeLaneRecord } from "../../shared/consistency/clock/lane-records.ts";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import { stateSubject } from "../../shared/consistency/state/state-keys.ts";
import { generationOf, type StateCheckpoint } from "../../shared/consistency/state/stored-state.ts";
import { positionOf } from "../../shared/follow/read-history.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import {
  type CopyRecord,
  copyRecord,
  followsDomain,
  readRecord,
} from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import {
  formatLogPosition,
  formatReign,
  type LogPosition,
  parseLogPosition,
  parseReign,
} from "../../shared/protocol/reign.ts";
import { controlRecordSubject, EVENTS_PREFIX } from "../../shared/protocol/subjects.ts";
import { nextStep, type Standing, type Taken } from "./go-on.ts";
import { StateFold, type StateFoldInit, type Taking } from "./state-fold.ts";
import { MAX_WRITES, type StateStore } from "./state-store.ts";

export interface StateRunInit
  extends Pick<StateFoldInit, "resolverOf" | "cacheSize" | "snapshotInterval" | "maxBytes"> {
  readonly store: StateStore;
  readonly checkpoint: StateCheckpoint;
  /** The stream is the log itself and all of it is read. */
  readonly whole: boolean;
  /** Messages right before were let go of: the next one may have any place. */
  readonly gap: boolean;
  /** Nothing is stored of its generations yet. */
  readonly fresh: boolean;
  /** Domains that it does not fold: another run does, or their states are of another contract. */
  readonly leftOut: () => readonly string[];
  /** Awaited before what follows from these events is stored; the same ones may be given again. */
  readonly onConflicts: (conflicts: readonly NotedConflict[]) => Promise<void>;
  /** The copy says which domains it has from here on. Nothing behind it is folded before this resolves. */
  readonly onCopyRecord: (record: CopyRecord, run: StateRun) => Promise<void>;
  readonly onFolded: (folded: RunFigures) => void;
}

export interface RunFigures {
  readonly events: number;
  readonly poisoned: readonly { readonly subject: string; readonly reason: string }[];
}

export type RunOutcome =
  /** `furthest`: nothing that was taken before stands further in the log than what was taken last. */
  | { readonly kind: "goes-on"; readonly furthest: boolean }
  | { readonly kind: "other-log"; readonly sound: number };

/** A state that was folded elsewhere. */
export interface ForeignState {
  readonly domain: string;
  readonly aggregate: string;
  readonly body: Uint8Array;
}

const CONTROL = `${EVENTS_PREFIX}_cim.`;
const COPY = controlRecordSubject("copy");
const MOST_REIGNS = 50;
const MOST_IMPORT_BYTES = 4 * 1024 * 1024;

/** Folds a log or copy, message by message, into the states of one set of generations. Not for concurrent use. */
export class StateRun {
  readonly #init: StateRunInit;
  readonly #fold: StateFold;
  #lanes: LaneHistory;
  #taken: Taken | undefined;
  #checkpoint: StateCheckpoint;

  constructor(init: StateRunInit) {
    this.#init = init;
    this.#checkpoint = init.checkpoint;
    this.#lanes = LaneHistory.decode(init.checkpoint.lanes);
    const at = parseLogPosition(init.checkpoint.log ?? undefined);
    this.#taken = at && { at, seq: init.gap ? 0 : init.checkpoint.seq };
    const { store } = init;
    this.#fold = new StateFold({
      ...init,
      lanes: () => this.#lanes,
      generationOf: (domain) => {
        if (!followsDomain(this.#checkpoint.domains, domain)) return undefined;
        if (followsDomain(init.leftOut(), domain)) return undefined;
        return generationOf(this.#checkpoint, domain);
      },
      load: (subjects) => store.load(subjects),
      maxWrites: MAX_WRITES,
    });
    this.#fold.forget(init.fresh);
  }

  /** As it was stored last. */
  get checkpoint(): StateCheckpoint {
    return this.#checkpoint;
  }

  /**
   * Folds the next messages of the stream.
   * @throws StateFenced, StateNotWritten, and what `onConflicts` and `onCopyRecord` throw: the run is of no use then
   */
  async take(messages: readonly StoredMessage[]): Promise<RunOutcome> {
    let waiting: Taking[] = [];
    let before: StoredMessage | undefined;
    let furthest = false;
    for (const message of messages) {
      const step = nextStep(this.#taken, message, this.#init.whole);
      if (step.kind === "other-log") {
        await this.#flush(waiting, before);
        return step;
      }
      // What stands before a record is read without it.
      const isRecord = isLaneRecord(message) || message.subject === COPY;
      if (isRecord) {
        await this.#flush(waiting, before);
        waiting = [];
      }
      if (step.kind !== "beside") furthest = step.position.index >= (this.#taken?.at.index ?? 0);
      if (step.kind === "next") this.#taken = { at: step.position, seq: message.seq };
      if (isRecord) await this.#record(message);
      else if (step.kind !== "beside" && !message.subject.startsWith(CONTROL))
        waiting.push({ message, position: step.position });
      before = message;
    }
    await this.#flush(waiting, before);
    return { kind: "goes-on", furthest };
  }

  /** Takes over states that were folded elsewhere, each in the place of the run's own. */
  async adopt(states: AsyncIterable<ForeignState>, lanes: unknown): Promise<number> {
    this.#lanes = LaneHistory.merge(this.#lanes.encode(), lanes);
    let writes: OutgoingMessage[] = [];
    let bytes = 0;
    let count = 0;
    const write = async () => {
      await this.#write({ lanes: this.#lanes.encode() }, writes);
      writes = [];
      bytes = 0;
    };
    for await (const { domain, aggregate, body } of states) {
      const subject = stateSubject(generationOf(this.#checkpoint, domain), domain, aggregate);
      writes.push({ subject, headerText: "", body });
      bytes += body.byteLength;
      count++;
      if (writes.length >= MAX_WRITES || bytes >= MOST_IMPORT_BYTES) await write();
    }
    await write();
    this.#fold.forget();
    return count;
  }

  /** Stores a change of the checkpoint by itself. */
  async note(change: Partial<StateCheckpoint>, messages: readonly OutgoingMessage[] = []): Promise<void> {
    await this.#write(change, messages);
    // Of another generation nothing is in memory.
    if (change.generations) this.#fold.forget();
  }

  /** Folds what waits and stores how far that came: up to `end`. */
  async #flush(waiting: readonly Taking[], end: StoredMessage | undefined): Promise<void> {
    for (let left = waiting; end && end.seq > this.#checkpoint.seq; ) {
      const folded = await this.#fold.fold(left);
      const done = left[folded.taken - 1]?.message ?? end;
      left = left.slice(folded.taken);
      if (folded.conflicts.length > 0) await this.#init.onConflicts(folded.conflicts);
      const { events, poisoned, unowned } = this.#checkpoint;
      const place = left.length === 0 ? this.#placeAt(end, this.#taken?.at) : this.#placeWithin(done);
      await this.#write(
        {
          ...place,
          events: events + folded.events,
          poisoned: poisoned + folded.poisoned.length,
          unowned: unowned + folded.unowned,
        },
        folded.writes,
      );
      this.#init.onFolded(folded);
    }
  }

  /** Messages behind it are taken, and not folded yet. */
  #placeWithin(message: StoredMessage): Partial<StateCheckpoint> {
    const known = parseLogPosition(this.#checkpoint.log ?? undefined);
    const own = positionOf(message);
    return this.#placeAt(message, own && own.index > (known?.index ?? 0) ? own : known);
  }

  #placeAt({ seq, headerText }: StoredMessage, at: LogPosition | undefined): Partial<StateCheckpoint> {
    const reigns = [...this.#checkpoint.reigns];
    if (at && reigns.at(-1)?.[0] !== formatReign(at.reign)) reigns.push([formatReign(at.reign), at.index]);
    return {
      seq,
      here: headerValue(headerText, HEADER.log) ?? null,
      log: at ? formatLogPosition(at) : null,
      reigns: reigns.slice(-MOST_REIGNS),
    };
  }

  /** In one write with its place: it is passed when what it says is kept. */
  async #record(message: StoredMessage): Promise<void> {
    if (isLaneRecord(message)) takeLaneRecord(this.#lanes, message);
    else {
      const record = readRecord(copyRecord, message);
      if (record) await this.#init.onCopyRecord(record, this);
    }
    await this.#write({ ...this.#placeAt(message, this.#taken?.at), lanes: this.#lanes.encode() }, []);
  }

  async #write(change: Partial<StateCheckpoint>, messages: readonly OutgoingMessage[]): Promise<void> {
    const checkpoint = { ...this.#checkpoint, ...change };
    await this.#init.store.write(checkpoint, messages);
    this.#checkpoint = checkpoint;
  }
}

/** Where the checkpoint's run stands, for `whereToGoOn`. */
export function standingOf(checkpoint: StateCheckpoint): Standing {
  return {
    seq: checkpoint.seq,
    created: checkpoint.created,
    here: checkpoint.here,
    at: parseLogPosition(checkpoint.log ?? undefined),
    reigns: checkpoint.reigns.flatMap(([text, index]) => {
      const reign = parseReign(text);
      return reign ? [{ reign, index }] : [];
    }),
  };
}
