import type { NatsConnection } from "@nats-io/transport-node";
import { statesOf } from "../../shared/consistency/state/state-keys.ts";
import { generationOf } from "../../shared/consistency/state/stored-state.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import type { Log } from "../../shared/observe/log.ts";
import { ALL_DOMAINS, type CopyRecord, followsDomain } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { parseLogPosition } from "../../shared/protocol/reign.ts";
import type { StatesWanted } from "./rebuild-plan.ts";
import type { StateRun } from "./state-run.ts";
import { awaitSeed, firstIndexOf, type SeedSource, storedStates } from "./state-seed.ts";

export interface StateBeginningsInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly wanted: StatesWanted;
  /** Where a leaf gets states from that its copy can't give. */
  readonly hub: SeedSource | undefined;
  readonly log: Log;
  /** States are waited for that the hub has. */
  readonly onSeeding: (seeding: boolean) => void;
  readonly signal: AbortSignal;
  /** What folds the present states. */
  readonly main: StateRun;
  /** Domains that it does not fold. */
  readonly leftOut: () => readonly string[];
  /** Asks for domains to be folded anew. */
  readonly request: (domains: readonly string[]) => void;
}

/** What is done where a log or copy begins behind its birth, or begins again. */
export class StateBeginnings {
  readonly #init: StateBeginningsInit;

  constructor(init: StateBeginningsInit) {
    this.#init = init;
  }

  /** What the log no longer has, from where it is still known. Gives the index that is missing; 0: nothing is. */
  async seed(run: StateRun, domains: readonly string[], firstIndex: number, sound?: number): Promise<number> {
    const { hub, wanted, nc, inboxPrefix, log } = this.#init;
    if (!hub) {
      // States that agree with the log still know what it has forgotten.
      if (sound === undefined || this.#init.leftOut().length > 0) return firstIndex;
      const present = this.#init.main.checkpoint;
      const own = storedStates({ nc, inboxPrefix }, present, domains, sound);
      const states = await run.adopt(own, present.lanes);
      log.info({ states, upTo: sound }, "kept states of before the log's beginning");
      return firstIndex;
    }
    this.#init.onSeeding(true);
    const index = Math.max(firstIndex - 1, parseLogPosition(run.checkpoint.log ?? undefined)?.index ?? 0);
    const found = await awaitSeed(hub, { domains, contracts: wanted.contracts, index }, this.#init.signal);
    if (found.kind === "none")
      log.warn({ reason: found.reason, firstIndex }, "states lack events from before the log's beginning");
    else {
      const states = await run.adopt(storedStates(hub, found.checkpoint, domains), found.checkpoint.lanes);
      log.info({ states, domains }, "took over the hub's states of before the log's beginning");
    }
    this.#init.onSeeding(false);
    return found.kind === "none" ? firstIndex : 0;
  }

  async seedMain(domains: readonly string[], firstIndex: number): Promise<void> {
    const missingBefore = await this.seed(this.#init.main, domains, firstIndex);
    await this.#init.main.note({ missingBefore });
  }

  /** The copy says which domains it has from here on. */
  async copyBegins({ at, live, filling }: CopyRecord): Promise<void> {
    const { hub, main: run } = this.#init;
    const begun =
      at === null ? [...live, ...(filling?.domains ?? [])] : filling?.done === 0 ? filling.domains : [];
    const kept = this.#kept(begun);
    const first = kept.length > 0 && hub ? await firstIndexOf(hub) : undefined;
    if (first !== undefined && first > 1) await this.seedMain(kept, first);
    const { refilled, log } = run.checkpoint;
    // What is filled in again may have events that were not there when they should have been folded.
    const again: string[] = at === null && log !== null ? [ALL_DOMAINS] : [];
    for (const domain of filling?.done === 0 ? this.#kept(filling.domains) : [])
      if (domain !== ALL_DOMAINS && (await this.#hasStates(domain))) again.push(domain);
    if (again.length > 0) await run.note({ refilled: [...new Set([...refilled, ...again])] });
    if (!filling)
      this.#init.request(refilled.filter((one) => one !== ALL_DOMAINS && followsDomain(live, one)));
  }

  /** Of these domains those that states are kept of. */
  #kept(domains: readonly string[]): string[] {
    const { domains: kept } = this.#init.main.checkpoint;
    if (domains.includes(ALL_DOMAINS)) return [...kept];
    return domains.filter((domain) => followsDomain(kept, domain));
  }

  async #hasStates(domain: string): Promise<boolean> {
    const subject = statesOf(generationOf(this.#init.main.checkpoint, domain), domain);
    return (await getMessage(this.#init.nc, STREAM.state, { last_by_subj: subject })) !== undefined;
  }
}
