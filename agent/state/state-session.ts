import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import { CHECKPOINT_SUBJECT, REBUILD_SUBJECT } from "../../shared/consistency/state/state-keys.ts";
import type { StateCheckpoint } from "../../shared/consistency/state/stored-state.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { Log } from "../../shared/observe/log.ts";
import { ALL_DOMAINS, type CopyRecord, followsDomain } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { parseLogPosition } from "../../shared/protocol/reign.ts";
import type { StateRebuildAnswer } from "../../shared/protocol/state-control.ts";
import { domainFilter, SUBJECT } from "../../shared/protocol/subjects.ts";
import { type GoOn, whereToGoOn } from "./go-on.ts";
import { readStreamAt } from "./read-stream.ts";
import { domainsToRebuild, type StatesWanted, switched } from "./rebuild-plan.ts";
import { StateBeginnings } from "./state-beginnings.ts";
import { emptyCheckpoint, StateRebuild } from "./state-rebuild.ts";
import { type RunFigures, StateRun, type StateRunInit, standingOf } from "./state-run.ts";
import { firstIndexOf, type SeedSource } from "./state-seed.ts";
import { deletion, StateStore } from "./state-store.ts";

export interface StateSessionInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  /** This run of the daemon. */
  readonly by: string;
  /** It has written the states already: another that wrote since has taken over from it. */
  readonly owned: boolean;
  /** The log itself is here, not a copy. */
  readonly isHub: boolean;
  readonly holdBack: () => boolean;
  readonly wanted: StatesWanted;
  /** Where a leaf gets states from that its copy can't give. */
  readonly hub: SeedSource | undefined;
  readonly run: Pick<
    StateRunInit,
    "resolverOf" | "cacheSize" | "snapshotInterval" | "maxBytes" | "onConflicts"
  >;
  readonly log: Log;
  readonly onFolded: (folded: RunFigures, session: StateSession) => void;
  readonly onRebuild: (rebuild: StateRebuild | undefined, why: string) => void;
  /** States are waited for that the hub has. */
  readonly onSeeding: (seeding: boolean) => void;
}

const MAX_MESSAGES = 2000;

/**
 * A write is synced, whatever is in it, and each sync is one that an append beside it waits for. Who reads a state folds what
 * is not in it yet himself, so after few messages more are waited for.
 */
const FEW_MESSAGES = 200;
const LINGER_MS = 50;

/** While something that matters more has the disk, as outboxes that are taken into the log, a batch is folded but so often. */
const HOLD_BACK_MS = 1000;
const HOLD_BACK_LOOK_MS = 20;

/**
 * Folds from what is stored until something is not as it was: a lost connection, a restored log. Then it ends, and the next
 * one begins from what is stored then.
 */
export class StateSession {
  readonly #init: StateSessionInit;
  readonly #end = new AbortController();
  /** Aborted when the session is to end, or the keeper. */
  readonly #signal: AbortSignal;
  readonly #main: StateRun;
  readonly #store: StateStore;
  readonly #beginnings: StateBeginnings;
  readonly #goesOn: GoOn;
  #reader: StreamReader | undefined;
  #rebuild: StateRebuild | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #requested: Set<string>;
  /** Domains whose present states are of another contract, or that have none yet. */
  #leftOut: readonly string[];
  #wake: (() => void) | undefined;

  private constructor(
    init: StateSessionInit,
    parts: {
      store: StateStore;
      checkpoint: StateCheckpoint;
      goesOn: GoOn;
      fresh: boolean;
      signal: AbortSignal;
    },
  ) {
    this.#init = init;
    this.#signal = AbortSignal.any([parts.signal, this.#end.signal]);
    this.#store = parts.store;
    this.#goesOn = parts.goesOn;
    this.#leftOut = domainsToRebuild(parts.checkpoint, init.wanted);
    this.#requested = new Set(parts.goesOn.kind === "other-log" ? [ALL_DOMAINS] : this.#leftOut);
    this.#main = new StateRun({
      ...this.#runInit(),
      store: parts.store,
      checkpoint: parts.checkpoint,
      whole: init.isHub && init.wanted.domains.includes(ALL_DOMAINS),
      gap: parts.goesOn.kind !== "other-log" && parts.goesOn.gap,
      fresh: parts.fresh,
      leftOut: () => this.#leftOut,
    });
    this.#beginnings = new StateBeginnings({
      ...init,
      signal: this.#signal,
      main: this.#main,
      leftOut: () => this.#leftOut,
      request: (domains) => this.#request(domains),
    });
  }

  /** Takes over from whoever wrote the states before. */
  static async open(init: StateSessionInit, signal: AbortSignal): Promise<StateSession> {
    const { nc, inboxPrefix, by, wanted, log } = init;
    const store = new StateStore(nc, { inboxPrefix, subject: CHECKPOINT_SUBJECT, by });
    const stored = await store.claim(emptyCheckpoint(by, wanted), (other) => !init.owned || other === by);
    const stream = await readStreamAt(nc, inboxPrefix, stored?.seq ?? 0);
    const before = stored ?? emptyCheckpoint(by, wanted);
    const goesOn = whereToGoOn(standingOf(before), stream);
    const checkpoint = { ...before, by };
    if (goesOn.kind !== "other-log") {
      checkpoint.created = stream.created;
      if (checkpoint.seq !== goesOn.startSeq - 1)
        Object.assign(checkpoint, { seq: goesOn.startSeq - 1, here: null });
    }
    if (goesOn.kind !== "behind") log.warn({ reason: goesOn.reason }, "states do not go on where they stood");
    signal.throwIfAborted();
    const session = new StateSession(init, {
      store,
      checkpoint,
      goesOn,
      fresh: stored === undefined,
      signal,
    });
    await session.#main.note({});
    if (goesOn.kind !== "other-log" && goesOn.gap)
      await session.#beginnings.seedMain(checkpoint.domains, stream.reigns[0]?.index ?? 1);
    return session;
  }

  get checkpoint(): StateCheckpoint {
    return this.#main.checkpoint;
  }

  get rebuild(): StateRebuild | undefined {
    return this.#rebuild;
  }

  /** Something is folded anew, or is to be. */
  get rebuilding(): boolean {
    return this.#requested.size > 0;
  }

  /** Messages that were not folded yet. */
  get waiting(): number {
    return this.#reader?.waiting ?? 0;
  }

  /** An operator asks for domains to be folded anew; undefined: all. */
  async requestRebuild(domains: readonly string[] = [ALL_DOMAINS]): Promise<StateRebuildAnswer> {
    if (this.#requested.size > 0) {
      const under = [...this.#requested].join(", ");
      return {
        accepted: false,
        reason: `states are folded anew already (${under === "*" ? "all domains" : under})`,
      };
    }
    const unknown = domains.filter((one) => !followsDomain(this.#main.checkpoint.domains, one));
    if (unknown.length > 0) return { accepted: false, reason: `no states are kept of ${unknown.join(", ")}` };
    const { nc, inboxPrefix, hub } = this.#init;
    const first = hub ? 1 : ((await firstIndexOf({ nc, inboxPrefix })) ?? 1);
    if (first > 1) {
      const reason = `the log begins at ${first}: what happened before is in the present states alone, and would be lost`;
      return { accepted: false, reason };
    }
    this.#request(domains);
    return { accepted: true };
  }

  #request(domains: readonly string[]): void {
    for (const domain of domains) this.#requested.add(domain);
    this.#wake?.();
  }

  /** Resolves when a new session is to begin. @throws what ends it otherwise */
  async run(): Promise<void> {
    const signal = this.#signal;
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
    });
    const frozen = this.#goesOn.kind === "other-log";
    const jobs = [this.#rebuilds(frozen), ...(frozen ? [] : [this.#follow()])];
    try {
      await Promise.race([ended, ...jobs]);
    } finally {
      this.#end.abort(new Error("the session ended"));
      this.#reader?.break("ended");
      this.#wake?.();
      await Promise.allSettled(jobs);
    }
  }

  async #follow(): Promise<void> {
    const { nc, inboxPrefix, wanted } = this.#init;
    const filters = wanted.domains.includes(ALL_DOMAINS)
      ? []
      : [...wanted.domains.map(domainFilter), SUBJECT.controlRecords];
    const startSeq = this.#main.checkpoint.seq + 1;
    await using reader = await new StreamReader({
      nc,
      inboxPrefix,
      stream: STREAM.events,
      startSeq,
      filters,
    }).start();
    this.#reader = reader;
    while (!this.#signal.aborted) {
      const messages = await reader.next(MAX_MESSAGES);
      await this.#heldBack();
      const outcome = await this.#inTurn(() => this.#main.take(messages));
      if (outcome.kind === "goes-on") {
        // A copy that was emptied has come to where it was.
        if (outcome.furthest && this.#main.checkpoint.refilled.includes(ALL_DOMAINS))
          this.#request([ALL_DOMAINS]);
        if (messages.length < FEW_MESSAGES) await sleep(LINGER_MS, undefined, { signal: this.#signal });
        continue;
      }
      this.#init.log.warn(
        { sound: outcome.sound },
        "the log was restored below what is folded: states are folded anew",
      );
      return;
    }
  }

  async #heldBack(): Promise<void> {
    const until = performance.now() + HOLD_BACK_MS;
    while (this.#init.holdBack() && performance.now() < until)
      await sleep(HOLD_BACK_LOOK_MS, undefined, { signal: this.#signal });
  }

  /** One after the other, as they are asked for. @param frozen the present states can't go on: ends after the first */
  async #rebuilds(frozen: boolean): Promise<void> {
    await this.#purgeStale();
    const { nc, inboxPrefix, by } = this.#init;
    const interrupted = await new StateStore(nc, { inboxPrefix, subject: REBUILD_SUBJECT, by }).open();
    for (const domain of interrupted?.domains ?? []) this.#requested.add(domain);
    const signal = this.#signal;
    while (!signal.aborted) {
      const asked = [...this.#requested];
      if (asked.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const domains = asked.includes(ALL_DOMAINS) ? [ALL_DOMAINS] : asked.sort();
      await this.#rebuildOnce(domains, frozen);
      for (const one of asked) this.#requested.delete(one);
      if (frozen) return;
    }
  }

  async #rebuildOnce(domains: readonly string[], frozen: boolean): Promise<void> {
    const { nc, inboxPrefix, by, wanted, log } = this.#init;
    const signal = this.#signal;
    const sound = this.#goesOn.kind === "other-log" ? this.#goesOn.sound : undefined;
    // What the present states have met was told of already.
    const toldUpTo = parseLogPosition(this.#main.checkpoint.log ?? undefined)?.index ?? 0;
    const isUntold = ({ event, position }: NotedConflict) =>
      frozen || (followsDomain(this.#leftOut, event.domain) && position.index > toldUpTo);
    const rebuild = await StateRebuild.open(
      {
        nc,
        inboxPrefix,
        by,
        domains,
        wanted,
        present: this.#main.checkpoint,
        run: {
          ...this.#runInit(),
          whole: false,
          onConflicts: (conflicts) => this.#init.run.onConflicts(conflicts.filter(isUntold)),
        },
        seed: (run, first) => this.#beginnings.seed(run, domains, first, sound),
      },
      signal,
    );
    this.#rebuild = rebuild;
    this.#init.onRebuild(rebuild, this.#goesOn.kind === "other-log" ? this.#goesOn.reason : "");
    log.info({ domains, generation: rebuild.generation }, "states are folded anew");
    try {
      const end = async () =>
        frozen ? (await streamState(nc, STREAM.events)).last_seq : this.#main.checkpoint.seq;
      await rebuild.approach(end, signal);
      await this.#inTurn(async () => {
        signal.throwIfAborted();
        await rebuild.passTo(await end(), signal);
        await this.#switchTo(rebuild, domains, frozen);
      });
    } finally {
      this.#rebuild = undefined;
    }
    log.info({ domains, generation: rebuild.generation }, "states were folded anew");
    this.#init.onRebuild(undefined, "");
    await this.#purgeStale();
  }

  /** The rebuilt generation is the present one from here on: in one write with the end of the rebuilding. */
  async #switchTo(rebuild: StateRebuild, domains: readonly string[], frozen: boolean): Promise<void> {
    const { wanted } = this.#init;
    const present = this.#main.checkpoint;
    const built = rebuild.checkpoint;
    const all = domains.includes(ALL_DOMAINS);
    const place = {
      seq: built.seq,
      here: built.here,
      log: built.log,
      reigns: built.reigns,
      created: built.created,
    };
    await this.#main.note(
      {
        ...switched(present, { domains, generation: rebuild.generation }),
        ...(frozen && place),
        ...(all && { events: built.events, poisoned: built.poisoned, unowned: built.unowned }),
        ...(!all && { poisoned: present.poisoned + built.poisoned }),
        lanes: built.lanes,
        domains: [...wanted.domains],
        contracts: { ...wanted.contracts },
        missingBefore: all ? built.missingBefore : Math.max(present.missingBefore, built.missingBefore),
        refilled: all ? [] : present.refilled.filter((domain) => !domains.includes(domain)),
      },
      [deletion(REBUILD_SUBJECT)],
    );
    this.#leftOut = domainsToRebuild(this.#main.checkpoint, wanted);
  }

  async #purgeStale(): Promise<void> {
    const { stale } = this.#main.checkpoint;
    if (stale.length === 0) return;
    await this.#store.purge(stale);
    await this.#inTurn(() => this.#main.note({ stale: [] }));
  }

  #runInit() {
    return {
      ...this.#init.run,
      onFolded: (folded: RunFigures) => this.#init.onFolded(folded, this),
      onCopyRecord: async (record: CopyRecord, run: StateRun) => {
        if (run === this.#main) await this.#beginnings.copyBegins(record);
      },
    };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
