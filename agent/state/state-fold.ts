import { LRUCache } from "lru-cache";
import type { LaneHistory } from "../../shared/consistency/clock/lane-history.ts";
import { foldEvent, isPoison } from "../../shared/consistency/resolve/fold-event.ts";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import type { Resolver } from "../../shared/consistency/resolve/resolver.ts";
import { poisonedSubject, stateSubject } from "../../shared/consistency/state/state-keys.ts";
import { encodeStored } from "../../shared/consistency/state/stored-state.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import { type StoredMessage, weightOf } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { formatLogPosition, type LogPosition } from "../../shared/protocol/reign.ts";
import { parseEventSubject } from "../../shared/protocol/subjects.ts";
import { encodeHeld, foldInto, type Held, heldOf } from "./held-state.ts";

export interface StateFoldInit {
  /** As of the events that are given. */
  readonly lanes: () => LaneHistory;
  /** A domain's, loaded when it is first met. */
  readonly resolverOf: (domain: string) => Promise<Resolver<unknown>>;
  /** Of a domain; undefined: its states are not kept by this fold, or not at present. */
  readonly generationOf: (domain: string) => number | undefined;
  readonly load: (subjects: readonly string[]) => Promise<readonly StoredMessage[]>;
  /** Aggregates that stay in memory. */
  readonly cacheSize: number;
  /** After so many events of an aggregate its state is written, though more of them wait. */
  readonly snapshotInterval: number;
  /** Bytes that one state may have. */
  readonly maxBytes: number;
  readonly maxWrites: number;
}

/** An event that was read, with where the log has it. */
export interface Taking {
  readonly message: StoredMessage;
  readonly position: LogPosition;
}

export interface Folded {
  /** How many of those given were taken; the others are for the next time. */
  readonly taken: number;
  readonly writes: readonly OutgoingMessage[];
  readonly conflicts: readonly NotedConflict[];
  readonly events: number;
  readonly poisoned: readonly {
    readonly subject: string;
    readonly position: LogPosition;
    readonly reason: string;
  }[];
  readonly unowned: number;
}

/** What is to be folded into which aggregate. */
interface Work extends Taking {
  readonly subject: string;
  readonly domain: string;
  readonly generation: number;
}

/** What one batch may hold in memory and bring to the disk; a single aggregate may exceed it. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024;

/** Folds events of the log into aggregates' states. What it gives must be written before it is given more. */
export class StateFold {
  readonly #init: StateFoldInit;
  readonly #cache: LRUCache<string, Held> | undefined;
  /** Nothing is stored that is not in the cache. */
  #knowsAll = false;

  constructor(init: StateFoldInit) {
    this.#init = init;
    if (init.cacheSize > 0) {
      this.#cache = new LRUCache({
        max: init.cacheSize,
        disposeAfter: (_held, _subject, reason) => {
          if (reason === "evict") this.#knowsAll = false;
        },
      });
    }
  }

  /** What is in memory is no longer what is stored. @param empty nothing is stored at all */
  forget(empty = false): void {
    this.#cache?.clear();
    this.#knowsAll = empty && this.#cache !== undefined;
  }

  async fold(events: readonly Taking[]): Promise<Folded> {
    const { work, taken, unowned } = this.#plan(events);
    const poisoned = new Map<Work, string>();
    // An event that can't be taken may leave a state half changed: then all is taken anew, without it.
    for (;;) {
      const tried = await this.#try(work, poisoned);
      if (tried) return { ...tried, taken, unowned };
    }
  }

  #plan(events: readonly Taking[]) {
    const { maxWrites, snapshotInterval, generationOf } = this.#init;
    const counts = new Map<string, number>();
    const work: Work[] = [];
    let bytes = 0;
    let unowned = 0;
    let taken = 0;
    for (const { message, position } of events) {
      const address = parseEventSubject(message.subject);
      const generation = address && generationOf(address.domain);
      if (address?.aggregate === undefined || generation === undefined) {
        if (address && address.aggregate === undefined) unowned++;
        taken++;
        continue;
      }
      const subject = stateSubject(generation, address.domain, address.aggregate);
      const count = counts.get(subject) ?? 0;
      // Each aggregate may take a write, and each event too, if it is set aside.
      const full = work.length > 0 && (bytes > MAX_BATCH_BYTES || counts.size >= maxWrites);
      if (full || count >= snapshotInterval) break;
      const weight = weightOf(message);
      bytes += weight + (count === 0 ? (this.#cache?.peek(subject)?.weight ?? 0) : 0);
      counts.set(subject, count + 1);
      work.push({ message, position, subject, domain: address.domain, generation });
      taken++;
    }
    return { work, taken, unowned };
  }

  async #try(
    work: readonly Work[],
    poisoned: Map<Work, string>,
  ): Promise<Omit<Folded, "taken" | "unowned"> | undefined> {
    const lanes = this.#init.lanes();
    const held = await this.#hold(work, poisoned);
    const touched = new Map<Held, Work>();
    const conflicts: NotedConflict[] = [];
    const broken = new Set<Held>();
    let events = 0;
    for (const one of work) {
      const state = held.get(one.subject);
      if (!state || broken.has(state) || poisoned.has(one)) continue;
      // All of the aggregate up to what is newest in it is in it already.
      if (one.position.index <= (state.at?.index ?? 0)) continue;
      const event = foldEvent(one.message, lanes);
      if (event === undefined) continue;
      if (isPoison(event)) {
        poisoned.set(one, event.poison);
        continue;
      }
      try {
        foldInto(state, one.position, event, (conflict) =>
          conflicts.push({ conflict, event, position: one.position, resolver: state.resolver.name }),
        );
      } catch (error) {
        poisoned.set(one, errorText(error));
        broken.add(state);
        continue;
      }
      touched.set(state, one);
      events++;
    }
    const writes: OutgoingMessage[] = [];
    for (const [state, last] of broken.size > 0 ? [] : touched) {
      const body = encodeHeld(state);
      if (body.byteLength > this.#init.maxBytes) {
        poisoned.set(
          last,
          `its state would have ${body.byteLength} bytes, ${this.#init.maxBytes} are possible`,
        );
        broken.add(state);
        continue;
      }
      state.weight = body.byteLength;
      writes.push({ subject: state.subject, headerText: "", body });
    }
    if (broken.size > 0) {
      // What is in memory has changed, and nothing of it will be stored.
      for (const subject of held.keys()) this.#cache?.delete(subject);
      this.#knowsAll = false;
      return undefined;
    }
    const aside = [...poisoned].map(([one, reason]) => ({ ...one, reason }));
    for (const one of aside) writes.push(poisonRecord(one));
    for (const [subject, state] of held) this.#cache?.set(subject, state);
    return {
      writes,
      conflicts,
      events,
      poisoned: aside.map(({ message, position, reason }) => ({
        subject: message.subject,
        position,
        reason,
      })),
    };
  }

  /** The states that the work is about: from memory, from the store, or new ones. */
  async #hold(work: readonly Work[], poisoned: Map<Work, string>): Promise<Map<string, Held>> {
    const held = new Map<string, Held>();
    const wanted = new Map<string, Work>();
    for (const one of work) {
      if (held.has(one.subject) || wanted.has(one.subject)) continue;
      const cached = this.#cache?.get(one.subject);
      if (cached) held.set(one.subject, cached);
      else wanted.set(one.subject, one);
    }
    const stored = this.#knowsAll || wanted.size === 0 ? [] : await this.#init.load([...wanted.keys()]);
    const bodies = new Map(stored.map(({ subject, body }) => [subject, body]));
    for (const [subject, one] of wanted) {
      const resolver = await this.#init.resolverOf(one.domain);
      try {
        held.set(subject, heldOf(subject, resolver, bodies.get(subject)));
      } catch (error) {
        // Nothing can be folded into what can't be read, and all else goes on.
        const reason = `its state can't be read: ${errorText(error)}`;
        for (const other of work) if (other.subject === subject) poisoned.set(other, reason);
      }
    }
    return held;
  }
}

function poisonRecord({ message, position, generation, reason }: Work & { reason: string }): OutgoingMessage {
  const { subject, headerText } = message;
  const id = headerValue(headerText, HEADER.id) ?? "";
  return {
    subject: poisonedSubject(generation, position.index),
    headerText: "",
    body: encodeStored({ v: 1, log: formatLogPosition(position), subject, id, reason: reason.slice(0, 500) }),
  };
}
