import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Contracts } from "../../shared/consistency/contract/contract.ts";
import { contractFor } from "../../shared/consistency/contract/contract.ts";
import { loadResolver } from "../../shared/consistency/resolve/load-resolver.ts";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import type { Resolver } from "../../shared/consistency/resolve/resolver.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { backoffMs, LOOPBACK_POLICY } from "../../shared/nats/reconnect-policy.ts";
import { bucketStream } from "../../shared/nats/streams.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { Log } from "../../shared/observe/log.ts";
import type { Metrics } from "../../shared/observe/metrics.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import { BUCKET } from "../../shared/protocol/names.ts";
import { type StateRebuildAnswer, stateRebuildRequest } from "../../shared/protocol/state-control.ts";
import { controlSubject, inboxPrefix, isAnswerable } from "../../shared/protocol/subjects.ts";
import { contractKeys } from "./contract-keys.ts";
import { stateReport } from "./state-report.ts";
import type { RunFigures } from "./state-run.ts";
import { hubStates } from "./state-seed.ts";
import { StateSession } from "./state-session.ts";
import { StateFenced } from "./state-store.ts";

/** What of a daemon's configuration decides its states. */
export interface StateSettings {
  readonly node: string;
  readonly role: "hub" | "leaf";
  readonly nats: { readonly hubDomain: string; readonly maxPayload: number };
  readonly state: { readonly domains: readonly string[] };
  readonly cacheSize: number;
  readonly snapshotInterval: number;
}

export interface StateKeeperInit {
  readonly nc: NatsConnection;
  readonly settings: StateSettings;
  readonly contracts: Contracts;
  readonly conditions: Conditions;
  readonly metrics: Metrics;
  readonly log: Log;
  /**
   * Told of every conflict that the log's events meet, before what follows from them is stored; after a crash the same ones
   * again. What it throws stops folding until it is tried again.
   */
  readonly onConflicts?: (conflicts: readonly NotedConflict[]) => Promise<void>;
  /** Something that matters more has the disk: folding waits, but no longer than `HOLD_BACK_MS`. */
  readonly holdBack?: () => boolean;
}

/** What a state and its headers may have of the server's largest message. */
const ROOM_BYTES = 16 * 1024;
/** What fails does so sooner. */
const SETTLED_MS = 5000;

/** Keeps the states of a node's aggregates in KV_CIM_STATE. */
export class StateKeeper {
  readonly #init: StateKeeperInit;
  readonly #end = new AbortController();
  readonly #by: string;
  readonly #resolvers = new Map<string, Promise<Resolver<unknown>>>();
  readonly #subscriptions: Subscription[] = [];
  #session: StateSession | undefined;
  #stopped: string | undefined;
  /** 0 before the states were opened: nothing may be let go of until it is known what they have. */
  #foldedSeq = 0;
  /** It has taken the states over once. */
  #owned = false;
  #done: Promise<void> = Promise.resolve();

  constructor(init: StateKeeperInit) {
    this.#init = init;
    this.#by = `${init.settings.node} ${randomBytes(6).toString("hex")}`;
  }

  start(): void {
    const { nc, settings, metrics } = this.#init;
    this.#done = this.#keep();
    metrics.readFrom("cim_state_lag_events", () => [[{}, this.#session?.waiting ?? Number.NaN]]);
    metrics.readFrom("cim_state_rebuild_remaining_events", () => [[{}, this.#remaining()]]);
    const answer = (verb: string, make: (data: Uint8Array) => unknown) => {
      this.#subscriptions.push(
        nc.subscribe(controlSubject(settings.node, verb), {
          callback: (error, message) => {
            if (error || !isAnswerable(message.reply)) return;
            void Promise.resolve(make(message.data)).then(
              (said) => message.respond(JSON.stringify(said)),
              (cause: unknown) => message.respond(JSON.stringify({ error: errorText(cause) })),
            );
          },
        }),
      );
    };
    answer("state-rebuild", (data) => this.#rebuild(data));
    answer("state", () => stateReport(nc, inboxPrefix(settings.node), this.#session, this.#stopped));
  }

  /** Sequence of the node's CIM_EVENTS up to which everything is folded, at least; undefined: this run folds no more. */
  get foldedSeq(): number | undefined {
    if (this.#stopped !== undefined) return undefined;
    this.#foldedSeq = this.#session?.checkpoint.seq ?? this.#foldedSeq;
    return this.#foldedSeq;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error("ended"));
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    await this.#done;
    for (const code of ALL_CONDITIONS) this.#init.conditions.clear(code);
  }

  async #keep(): Promise<void> {
    const { conditions, log } = this.#init;
    const { signal } = this.#end;
    let said = "";
    for (let attempt = 0; !signal.aborted; ) {
      try {
        await this.#once(() => {
          attempt = 0;
          said = "";
        });
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof StateFenced) {
          this.#stopped = errorText(error);
          conditions.raise("state-fenced", { other: errorText(error) });
          log.error({ err: error }, "states are written by another run: this one stops");
          this.#session = undefined;
          return;
        }
        const why = errorText(error);
        conditions.raise("state-stalled", { error: why });
        // Said once, however often it is tried.
        log[why === said ? "debug" : "warn"]({ err: error }, "folding states begins anew");
        said = why;
        await sleep(backoffMs(attempt++, LOOPBACK_POLICY), undefined, { signal }).catch(() => undefined);
      } finally {
        this.#session = undefined;
      }
    }
  }

  async #once(onWritten: () => void): Promise<void> {
    const { nc, settings, contracts, conditions, log } = this.#init;
    await ensureStream(nc, bucketStream(BUCKET.state));
    const prefix = inboxPrefix(settings.node);
    const isHub = settings.role === "hub";
    this.#session = await StateSession.open(
      {
        nc,
        inboxPrefix: prefix,
        by: this.#by,
        owned: this.#owned,
        isHub,
        holdBack: () => this.#init.holdBack?.() ?? false,
        wanted: { domains: settings.state.domains, contracts: contractKeys(contracts) },
        hub: isHub ? undefined : hubStates(nc, settings.node, prefix, settings.nats.hubDomain),
        run: {
          resolverOf: (domain) => this.#resolverOf(domain),
          cacheSize: settings.cacheSize,
          snapshotInterval: settings.snapshotInterval,
          maxBytes: (nc.info?.max_payload ?? settings.nats.maxPayload) - ROOM_BYTES,
          onConflicts: async (conflicts) => this.#init.onConflicts?.(conflicts),
        },
        log,
        onFolded: (folded, session) => {
          onWritten();
          conditions.clear("state-stalled");
          this.#tell(folded, session);
        },
        onRebuild: (rebuild, why) => {
          if (rebuild)
            conditions.raise("state-rebuilding", { domains: domainsText(rebuild.checkpoint.domains), why });
          else conditions.clear("state-rebuilding");
        },
        onSeeding: (seeding) => conditions.set(seeding, "state-waits-for-hub"),
      },
      this.#end.signal,
    );
    this.#owned = true;
    this.#judge(this.#session);
    // Where nothing is to be folded, nothing fails for a while.
    const settled = setTimeout(() => conditions.clear("state-stalled"), SETTLED_MS);
    settled.unref();
    await this.#session.run().finally(() => clearTimeout(settled));
  }

  #tell({ events, poisoned }: RunFigures, session: StateSession): void {
    const { metrics, log } = this.#init;
    if (events > 0) metrics.add("cim_state_events_total", {}, events);
    for (const { subject, reason } of poisoned)
      log.warn({ subject, reason }, "an event can't be folded: set aside");
    this.#judge(session, poisoned.at(-1));
  }

  #judge({ checkpoint }: StateSession, last?: { readonly subject: string; readonly reason: string }): void {
    const { conditions, metrics } = this.#init;
    const { poisoned: count, missingBefore } = checkpoint;
    metrics.set("cim_state_poisoned_events", {}, count);
    if (count === 0) conditions.clear("state-poisoned");
    else if (last || !conditions.has("state-poisoned"))
      conditions.raise("state-poisoned", { count, ...(last && { last: `${last.subject}: ${last.reason}` }) });
    conditions.set(missingBefore > 0, "state-incomplete", { index: missingBefore });
  }

  async #rebuild(data: Uint8Array): Promise<StateRebuildAnswer> {
    const request = stateRebuildRequest.safeParse(readJson(data));
    const session = this.#session;
    if (!request.success) return { accepted: false, reason: "the request can't be read" };
    if (this.#stopped !== undefined) return { accepted: false, reason: this.#stopped };
    if (!session)
      return { accepted: false, reason: "states are not folded at present: see the daemon's log" };
    return await session.requestRebuild(request.data.domains);
  }

  #remaining(): number {
    const progress = this.#session?.rebuild?.progress;
    return progress ? progress.of - progress.done : Number.NaN;
  }

  #resolverOf(domain: string): Promise<Resolver<unknown>> {
    const contract = contractFor(this.#init.contracts, domain);
    let resolver = this.#resolvers.get(contract.domain);
    if (!resolver) {
      resolver = loadResolver(contract);
      this.#resolvers.set(contract.domain, resolver);
    }
    return resolver;
  }
}

const ALL_CONDITIONS = [
  "state-poisoned",
  "state-fenced",
  "state-stalled",
  "state-incomplete",
  "state-rebuilding",
  "state-waits-for-hub",
] as const;

const domainsText = (domains: readonly string[]): string =>
  domains.includes("*") ? "all domains" : domains.join(", ");

function readJson(data: Uint8Array): unknown {
  if (data.byteLength === 0) return {};
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined;
  }
}
