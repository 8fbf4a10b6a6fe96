import type { NatsConnection } from "@nats-io/transport-node";
import { poisonedOf, REBUILD_SUBJECT, statesOf } from "../../shared/consistency/state/state-keys.ts";
import type { StateCheckpoint } from "../../shared/consistency/state/stored-state.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { ALL_DOMAINS } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { domainFilter, SUBJECT } from "../../shared/protocol/subjects.ts";
import { whereToGoOn } from "./go-on.ts";
import { placeAt, readStreamAt } from "./read-stream.ts";
import { nextGeneration, type StatesWanted } from "./rebuild-plan.ts";
import { StateRun, type StateRunInit, standingOf } from "./state-run.ts";
import { StateStore } from "./state-store.ts";

export interface StateRebuildInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly by: string;
  readonly domains: readonly string[];
  readonly wanted: StatesWanted;
  readonly present: StateCheckpoint | undefined;
  readonly run: Omit<StateRunInit, "store" | "checkpoint" | "gap" | "fresh" | "leftOut">;
  /** The log begins behind its birth: what was before is to be had elsewhere. Gives the index that is missing, or 0. */
  readonly seed: (run: StateRun, firstIndex: number) => Promise<number>;
}

/** How near it must have come before what it catches up with is held up. */
const NEAR = 500;
const MAX_MESSAGES = 2000;

/** Folds domains from the log's beginning into a generation of their own, beside the one that is read meanwhile. */
export class StateRebuild {
  readonly #init: StateRebuildInit;
  #run: StateRun | undefined;
  #toSeq = 0;
  #firstSeq = 1;
  readonly generation: number;

  private constructor(init: StateRebuildInit, generation: number) {
    this.#init = init;
    this.generation = generation;
  }

  /** Begins, or goes on with what was interrupted. */
  static async open(init: StateRebuildInit, signal: AbortSignal): Promise<StateRebuild> {
    const { nc, inboxPrefix, by, domains, wanted, present } = init;
    const store = new StateStore(nc, { inboxPrefix, subject: REBUILD_SUBJECT, by });
    const before = await store.open();
    const stream = await readStreamAt(nc, inboxPrefix, before?.seq ?? 0);
    const goesOn =
      before !== undefined &&
      JSON.stringify([before.domains, before.contracts]) === JSON.stringify([domains, wanted.contracts]) &&
      whereToGoOn(standingOf(before), stream).kind === "behind";
    const generation = goesOn ? nextGeneration(before) - 1 : nextGeneration(present, before);
    const self = new StateRebuild(init, generation);
    self.#firstSeq = stream.firstSeq;
    if (!goesOn && before)
      await store.purge(Object.values(before.generations).flatMap((one) => [statesOf(one), poisonedOf(one)]));
    const checkpoint: StateCheckpoint = goesOn
      ? { ...before, by }
      : {
          ...emptyCheckpoint(by, wanted),
          domains: [...domains],
          generations: Object.fromEntries(domains.map((domain) => [domain, generation])),
          created: stream.created,
          seq: Math.max(0, stream.firstSeq - 1),
        };
    const run = new StateRun({
      ...init.run,
      store,
      checkpoint,
      whole: false,
      gap: false,
      fresh: !goesOn,
      leftOut: () => [],
    });
    self.#run = run;
    await run.note({});
    const firstIndex = stream.reigns[0]?.index ?? 1;
    if (!goesOn && firstIndex > 1) await run.note({ missingBefore: await init.seed(run, firstIndex) });
    signal.throwIfAborted();
    return self;
  }

  get checkpoint(): StateCheckpoint {
    return (this.#run as StateRun).checkpoint;
  }

  /** How far it has come, in messages of the stream. */
  get progress(): { readonly done: number; readonly of: number } {
    const first = this.#firstSeq - 1;
    return { done: this.checkpoint.seq - first, of: Math.max(0, this.#toSeq - first) };
  }

  /** Folds up to near a moving end. */
  async approach(end: () => Promise<number>, signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#toSeq = await end();
      if (this.#toSeq - this.checkpoint.seq <= NEAR) return;
      await this.passTo(this.#toSeq, signal);
    }
  }

  /** Folds up to a sequence of the stream, which then is where it stands. */
  async passTo(seq: number, signal: AbortSignal): Promise<void> {
    const run = this.#run as StateRun;
    const { nc, inboxPrefix, domains } = this.#init;
    if (seq <= run.checkpoint.seq) return;
    this.#toSeq = Math.max(this.#toSeq, seq);
    const filters = domains.includes(ALL_DOMAINS)
      ? []
      : [...domains.map(domainFilter), SUBJECT.controlRecords];
    await using reader = await new StreamReader({
      nc,
      inboxPrefix,
      stream: STREAM.events,
      startSeq: run.checkpoint.seq + 1,
      filters,
    }).start();
    for await (const messages of reader.backlog(seq, MAX_MESSAGES)) {
      signal.throwIfAborted();
      const outcome = await run.take(messages);
      if (outcome.kind === "other-log") throw new Error("the log was restored meanwhile: begins anew");
    }
    // Up to there nothing more of its domains stands.
    if (run.checkpoint.seq < seq) await run.note({ seq, here: (await placeAt(nc, seq)) ?? null });
  }
}

/** Where folding begins. */
export function emptyCheckpoint(by: string, { domains, contracts }: StatesWanted): StateCheckpoint {
  return {
    v: 1,
    by,
    seq: 0,
    created: "",
    here: null,
    log: null,
    reigns: [],
    events: 0,
    poisoned: 0,
    unowned: 0,
    domains: [...domains],
    generations: { [ALL_DOMAINS]: 1 },
    contracts: { ...contracts },
    lanes: { begins: {}, retired: [] },
    missingBefore: 0,
    refilled: [],
    stale: [],
  };
}
