import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../../shared/config/index.ts";
import { firstOfBlock, lastOfBlock, type PlaceRange } from "../../shared/consistency/proof/block-sums.ts";
import { StoredMessages } from "../../shared/follow/proof/stored-messages.ts";
import { StreamLedger } from "../../shared/follow/proof/stream-ledger.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import type { Log } from "../../shared/observe/log.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { ProofOf } from "../../shared/protocol/proof-messages.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import type { FleetNode } from "../fleet/fleet.ts";
import type { LogState } from "../sequencer/log-state.ts";
import { type Finding, Findings, sideOf } from "./finding.ts";
import type { LogSide } from "./log-side.ts";
import { type CheckOptions, NodeCheck } from "./node-check.ts";
import { NotComparable } from "./node-side.ts";
import { ScrubProgress } from "./scrub-progress.ts";

export interface ProverInit {
  readonly nc: NatsConnection;
  readonly config: Config;
  readonly log: Log;
  /** undefined: this coordinator does not lead. */
  readonly state: () => LogState | undefined;
  readonly nodes: () => readonly FleetNode[];
  /** Something differs that did not, or agrees again. */
  readonly onFindings: () => void;
}

/** As many nodes are asked at once; the others wait their turn. */
const MOST_AT_ONCE = 16;
/** The scrub reads for one twentieth of the time, and never more than a chunk a second. */
const SCRUB_REST = 19;
const SCRUB_LEAST_PAUSE_MS = 1000;
const END_MS = 500;
/** A start has more urgent things to do. */
const FIRST_SCRUB_MS = 60_000;

export type VerifyOptions = Pick<CheckOptions, "domain" | "deep" | "look">;

/** What a comparison with all nodes came to. */
export interface Verified {
  readonly findings: readonly Finding[];
  /** What could not be compared, and why. */
  readonly notCompared: readonly { readonly node: string; readonly of: ProofOf; readonly reason: string }[];
}

/** Proves that nodes hold what the log holds: all the time by sums, slowly by all that is stored, and when asked. */
export class Prover {
  readonly #init: ProverInit;
  readonly #ledger: StreamLedger;
  readonly #check: NodeCheck;
  readonly #findings = new Findings();
  readonly #end = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  readonly scrub = new ScrubProgress();

  constructor(init: ProverInit) {
    this.#init = init;
    const { nc, config, log, state } = init;
    const prefix = inboxPrefix(config.node);
    const { storeDir } = config.nats;
    const file = join(config.dataDir, "log-sums.jsonl");
    const messages = new StoredMessages({ nc, inboxPrefix: prefix, storeDir, stream: STREAM.events });
    this.#ledger = new StreamLedger({ messages, file, isLog: true, log });
    this.#check = new NodeCheck({ nc, inboxPrefix: prefix, ledger: this.#ledger, messages, state });
  }

  start(): void {
    this.#loops = Promise.all([this.#checkAlways(), this.#scrubAlways()]);
  }

  /** What the sequencer has just written. */
  written(messages: readonly OutgoingMessage[], lastSeq: number): void {
    this.#ledger.written(messages, lastSeq);
  }

  /** The newest findings, with whose fault a difference is. */
  findings(): Finding[] {
    return this.#blamed(this.#findings.all());
  }

  /** What is to be told of one. */
  finding(node: string, of: ProofOf): Finding | undefined {
    const finding = this.#findings.of(node, of);
    return finding?.difference ? this.#blamed([finding])[0] : finding;
  }

  /** Compares the log with all nodes that can be reached, now. */
  async verify(options: VerifyOptions, onProgress: (done: number, of: number) => void): Promise<Verified> {
    const jobs = this.#jobs();
    const total = jobs.length;
    let done = 0;
    const verified = await this.#run(jobs, options, { onDone: () => onProgress(++done, total) });
    // One domain's agreement says nothing of the others.
    if (options.domain === undefined || verified.findings.some(({ difference }) => difference))
      this.#keep(verified.findings);
    return { ...verified, findings: this.#blamed(verified.findings) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    // A node that does not answer is not waited for: nothing comes of it any more.
    await Promise.race([this.#loops, sleep(END_MS, undefined, { ref: false })]);
    await this.#ledger[Symbol.asyncDispose]();
  }

  #jobs(): { readonly node: string; readonly of: ProofOf }[] {
    const reachable = this.#init
      .nodes()
      .filter(({ role, link, heartbeat }) => heartbeat && (role === "hub" || link.up));
    return reachable.flatMap(({ name, heartbeat }) => [
      ...(heartbeat?.copy ? [{ node: name, of: "copy" as const }] : []),
      { node: name, of: "outbox" as const },
    ]);
  }

  async #run(
    jobs: readonly { readonly node: string; readonly of: ProofOf }[],
    options: CheckOptions,
    { onDone, log = this.#check.logSide() }: { readonly onDone?: () => void; readonly log?: LogSide } = {},
  ): Promise<Verified> {
    const findings: Finding[] = [];
    const notCompared: { node: string; of: ProofOf; reason: string }[] = [];
    const waiting = [...jobs];
    const work = async () => {
      for (let job = waiting.shift(); job && !this.#end.signal.aborted; job = waiting.shift()) {
        const { node, of } = job;
        try {
          findings.push(await this.#check[of](node, options, log));
        } catch (error) {
          if (!(error instanceof NotComparable))
            this.#init.log.debug({ err: error, node, of }, "could not be compared with the log");
          notCompared.push({ node, of, reason: errorText(error) });
        }
        onDone?.();
      }
    };
    await Promise.all(Array.from({ length: Math.min(MOST_AT_ONCE, jobs.length) }, work));
    return { findings, notCompared };
  }

  #keep(findings: readonly Finding[]): void {
    for (const finding of findings) this.#findings.set(finding);
    this.#init.onFindings();
  }

  #blamed(findings: readonly Finding[]): Finding[] {
    const shrunk = [...this.#ledger.shrunk].map((block) => ({
      from: firstOfBlock(block),
      to: lastOfBlock(block),
    }));
    return findings.map((finding) => {
      const { difference } = finding;
      return difference
        ? { ...finding, difference: { ...difference, side: sideOf(finding, findings, shrunk) } }
        : finding;
    });
  }

  async #checkAlways(): Promise<void> {
    for (; !this.#end.signal.aborted; await this.#sleep(this.#init.config.proof.checkS * 1000)) {
      if (!this.#init.state()) continue;
      await this.#ledger
        .upToDate()
        .catch((error: unknown) => this.#init.log.debug({ err: error }, "the log can't be counted"));
      const copies = this.#jobs().filter(({ of }) => of === "copy");
      this.#keep((await this.#run(copies, { look: "counted" })).findings);
    }
  }

  async #scrubAlways(): Promise<void> {
    const scrubMs = this.#init.config.proof.scrubS * 1000;
    for (let pauseMs = Math.min(FIRST_SCRUB_MS, scrubMs); await this.#sleep(pauseMs); pauseMs = scrubMs) {
      if (!this.#init.state()) continue;
      const jobs = this.#jobs();
      if (jobs.length === 0) continue;
      const log = this.#check.logSide();
      const pass = this.scrub.begin(jobs.length, Date.now());
      // All at once, so that the log is read once for all of them.
      await Promise.all(
        jobs.map(async (job) => {
          const told = pass.part();
          const next = this.#paced(told);
          const { findings } = await this.#run([job], { look: "content", deep: true, next }, { log });
          told(1);
          pass.ended(findings.length > 0);
          if (!this.#end.signal.aborted) this.#keep(findings);
        }),
      );
      if (!this.#end.signal.aborted) pass.finish(Date.now());
    }
  }

  #paced(told: (share: number) => void): NonNullable<CheckOptions["next"]> {
    let lastMs: number | undefined;
    return async (chunk: PlaceRange, whole: PlaceRange) => {
      const tookMs = lastMs === undefined ? 0 : performance.now() - lastMs;
      if (lastMs !== undefined && !(await this.#sleep(Math.max(SCRUB_LEAST_PAUSE_MS, SCRUB_REST * tookMs))))
        return false;
      lastMs = performance.now();
      told((chunk.from - whole.from) / Math.max(1, whole.to - whole.from + 1));
      return !this.#end.signal.aborted;
    };
  }

  /** False: it is over. */
  async #sleep(ms: number): Promise<boolean> {
    const { signal } = this.#end;
    await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
    return !signal.aborted;
  }
}
