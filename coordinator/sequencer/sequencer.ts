import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { type Contracts, contractFor } from "../../shared/consistency/contract/contract.ts";
import {
  type OutgoingMessage,
  WRONG_LAST_SEQUENCE,
  type WriteResult,
  writeGuarded,
} from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { backoffMs, LOOPBACK_POLICY, REMOTE_POLICY } from "../../shared/nats/reconnect-policy.ts";
import type { Log } from "../../shared/observe/log.ts";
import { decodeBlock, isBlock } from "../../shared/protocol/block.ts";
import { MalformedBytes } from "../../shared/protocol/byte-reader.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import { type IngestReply, ingestRequest } from "../../shared/protocol/messages.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { formatReign, type Reign, sameReign } from "../../shared/protocol/reign.ts";
import { isAnswerable, SUBJECT } from "../../shared/protocol/subjects.ts";
import { BatchPace } from "./batch-pace.ts";
import { CommitRequests, readVersion } from "./commits/commit-requests.ts";
import { LogUnreadable } from "./fold-log.ts";
import { type Foreign, removeForeign, tellForeign } from "./foreign.ts";
import type { LogState } from "./log-state.ts";
import type { Logged } from "./plan-batch.ts";
import { readLog, readPrints } from "./read-log.ts";
import { type RetireOutcome, SequencerMachine, type SequencerOutput } from "./sequencer-machine.ts";

export interface SequencerInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  /** Which coordinator this is. */
  readonly instance: string;
  /** The hub's name, which is its JetStream domain. */
  readonly hub: string;
  readonly maxMessageBytes: number;
  /** How the domains replicate by now. */
  readonly contracts: () => Contracts;
  readonly log: Log;
  /** Called with the log as read, before the reign begins: counters are taken from it. */
  readonly onRead: (state: LogState) => void;
  readonly onLeading: (reign: Reign) => void;
  readonly onLogged: (logged: {
    readonly events: readonly Logged[];
    readonly refused: readonly string[];
  }) => void;
  /** What was stored, the last of it at that sequence of the stream. */
  readonly onStored?: (messages: readonly OutgoingMessage[], lastSeq: number) => void;
  /** The log's store refuses to write, for that reason; undefined: it takes again. */
  readonly onStore: (refusal: string | undefined) => void;
  /** What no sequencer wrote stood in the log, and was taken out of it. */
  readonly onForeign: (foreign: readonly Foreign[]) => void;
  /** The log can't be continued: a person must look. */
  readonly onUnreadable: (reason: string) => void;
}

/** A start reads at most so many messages, below 0.2 s here. */
const MARKS_EVERY = 10_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** The log is quiet for so long: its marks are written, so that the next start reads nothing. */
const QUIET_MS = 2000;
/** Messages; live events of a whole fleet fill batches of some tens. */
const LARGE_BATCH = 128;
/** Large batches follow each other within some ms as long as there are blocks that wait; one that is slow to come is waited for. */
const BACKLOG_LASTS_MS = 100;
/** Nothing foreign stays in a quiet log for longer; one small request. */
const LOOK_EVERY_MS = 2000;

/** A closed connection throws where an open one answers. */
async function writeOrUnknown(...write: Parameters<typeof writeGuarded>): Promise<WriteResult> {
  try {
    return await writeGuarded(...write);
  } catch (error) {
    return { kind: "unknown", reason: errorText(error) };
  }
}

/** Runs the sequencer's machine on the hub's server. `lead` and `stop` follow the lease. */
export class Sequencer {
  readonly #init: SequencerInit;
  readonly #machine: SequencerMachine;
  readonly #pace = new BatchPace();
  #writeMs = 0;
  /** When a batch was last begun that is larger than live events make it. */
  #largeBatchMs = Number.NEGATIVE_INFINITY;
  readonly #waiting = new Map<number, Msg>();
  readonly #retiring = new Map<number, (outcome: RetireOutcome) => void>();
  readonly #commits: CommitRequests;
  #nextToken = 1;
  #subscription: Subscription | undefined;
  #wanted = false;
  #rereading = false;
  #refusals = 0;
  #quietTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  /** Stepped over by the read that came before this reign. */
  #foreign: readonly Foreign[] = [];
  #idle: (() => void) | undefined;

  constructor(init: SequencerInit) {
    this.#init = init;
    const { nc, hub, log } = init;
    this.#commits = new CommitRequests({
      nc,
      hub,
      log,
      onCommit: (node, token, commit) => this.#run(this.#machine.commit(node, token, commit)),
    });
    this.#machine = new SequencerMachine({
      by: init.instance,
      rules: {
        maxMessageBytes: init.maxMessageBytes,
        contracts: init.contracts,
        hub,
        isStrong: (domain) => contractFor(init.contracts(), domain).mode === "strong",
      },
      bounds: this.#pace,
      marksEvery: MARKS_EVERY,
      maxWaitingBytes: MAX_WAITING_BYTES,
      randomId: () => randomBytes(4).toString("hex"),
      nowMs: Date.now,
    });
  }

  get reign(): Reign | undefined {
    return this.#machine.reign;
  }

  get state(): LogState | undefined {
    return this.#machine.reign ? this.#machine.state : undefined;
  }

  /** Outboxes are taken into the log that had been without the hub: what can wait for the disk should. */
  get takesBacklog(): boolean {
    return performance.now() - this.#largeBatchMs < BACKLOG_LASTS_MS;
  }

  /** Begins to lead as soon as the log can be read. */
  lead(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#subscription = this.#init.nc.subscribe(SUBJECT.ingest, {
      callback: (error, message) => this.#onRequest(error, message),
    });
    this.#commits.open();
    this.#lookTimer = setInterval(() => {
      this.#run(this.#machine.expire());
      void this.#look();
    }, LOOK_EVERY_MS);
    this.#lookTimer.unref();
    void this.#reread(0, "begins to lead");
  }

  /** Ends leading; nothing that is under way is answered. */
  stop(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#commits.close();
    clearTimeout(this.#quietTimer);
    clearInterval(this.#lookTimer);
    this.#run(this.#machine.stop());
  }

  /** Begins a younger reign; false: something is under way, ask again. */
  renew(): boolean {
    const outputs = this.#machine.renew();
    this.#run(outputs);
    return outputs.length > 0;
  }

  /** Writes into the log that a node is gone for good. Resolves when that is stored, or can't be said to be. */
  async retire(node: string): Promise<RetireOutcome> {
    const token = this.#nextToken++;
    return await new Promise((resolve) => {
      this.#retiring.set(token, resolve);
      this.#run(this.#machine.retire(node, token));
    });
  }

  /** Domains may be strong that were not: of what was written to them meanwhile nothing is remembered. */
  contractsChanged(): void {
    this.#machine.forgetVersions();
  }

  /** Takes no more, writes what waits and the marks, for a stop in good order. Bounded by `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#commits.close();
    this.#run(this.#machine.checkpoint());
    if (this.#machine.busy) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        setTimeout(resolve, timeoutMs).unref();
      });
    }
    this.stop();
  }

  #onRequest(error: Error | null, message: Msg): void {
    if (error || !isAnswerable(message.reply)) return;
    const token = this.#nextToken++;
    this.#waiting.set(token, message);
    const node = message.subject.slice(message.subject.lastIndexOf(".") + 1);
    try {
      this.#run(this.#dispatch(node, token, message.data));
    } catch (fault) {
      const reason = fault instanceof MalformedBytes ? fault.message : "the request can't be read";
      this.#init.log.warn({ node, err: fault }, "a request to the sequencer was refused");
      this.#reply(token, { kind: "rejected", reign: this.#machine.reign ?? null, retry: false, reason });
    }
  }

  #dispatch(node: string, token: number, data: Uint8Array): SequencerOutput[] {
    if (isBlock(data)) return this.#machine.block(node, token, decodeBlock(data));
    const request = ingestRequest.parse(JSON.parse(Buffer.from(data).toString("utf8")));
    switch (request.op) {
      case "hello":
        return this.#machine.hello(node, token, request);
      case "prints":
        return this.#machine.prints(node, token, request);
      case "incarnate":
        return this.#machine.incarnate(node, token, request);
    }
  }

  #run(outputs: readonly SequencerOutput[]): void {
    for (const output of outputs) this.#carryOut(output);
    if (this.#idle && !this.#machine.busy) this.#idle();
  }

  #carryOut(output: SequencerOutput): void {
    switch (output.do) {
      case "reply":
        this.#reply(output.token, output.reply);
        return;
      case "retired":
        this.#retiring.get(output.token)?.(output.outcome);
        this.#retiring.delete(output.token);
        return;
      case "answer":
        this.#commits.answer(output.token, output.reply);
        return;
      case "version":
        void this.#readVersion(output.token, output.aggregate);
        return;
      case "write": {
        const started = performance.now();
        if (output.messages.length >= LARGE_BATCH) this.#largeBatchMs = started;
        void writeOrUnknown(this.#init.nc, output.messages, output.expect).then((result) => {
          this.#writeMs = performance.now() - started;
          if (result.kind === "stored") this.#init.onStored?.(output.messages, result.lastSeq);
          this.#judgeWrite(result);
          this.#run(this.#machine.written(output.token, result));
        });
        return;
      }
      case "fence":
        void this.#fence(output.token, output.subject);
        return;
      case "prints": {
        const { node, token, request, reign } = output;
        void readPrints(this.#init.nc, this.#init.inboxPrefix, node, request.marks).then(
          (known) => this.#replyPrints(token, reign, known),
          (error: unknown) => {
            this.#init.log.warn({ node, err: error }, "prints could not be read");
            const reason = "the log can't be read";
            this.#reply(token, { kind: "rejected", reign, retry: true, reason });
          },
        );
        return;
      }
      case "logged":
        this.#pace.stored(
          new Set(output.events.map(({ node }) => node)),
          output.events.length,
          this.#writeMs,
        );
        this.#init.onLogged(output);
        this.#armQuietTimer();
        return;
      case "leading":
        this.#init.log.info({ reign: formatReign(output.reign) }, "leads the log");
        this.#init.onLeading(output.reign);
        if (this.#foreign.length > 0) {
          tellForeign(this.#init.log, this.#foreign);
          this.#init.onForeign(this.#foreign);
          void this.#removeForeign();
        }
        return;
      case "reread":
        void this.#reread(output.minEpoch, output.reason);
    }
  }

  /** A store that refuses to write is named, and asked again ever more slowly. */
  #judgeWrite(result: WriteResult): void {
    if (result.kind === "stored") {
      if (this.#refusals > 0) this.#init.onStore(undefined);
      this.#refusals = 0;
      return;
    }
    this.#init.log.warn({ result }, "a batch was not stored as expected");
    if (result.kind !== "refused" || result.errCode === WRONG_LAST_SEQUENCE) return;
    this.#refusals += 1;
    this.#init.onStore(result.reason);
  }

  #reply(token: number, reply: IngestReply): void {
    const message = this.#waiting.get(token);
    this.#waiting.delete(token);
    if (message && !this.#init.nc.isClosed()) message.respond(JSON.stringify(reply));
  }

  #replyPrints(token: number, reign: Reign, known: boolean[]): void {
    const now = this.#machine.reign;
    if (now && sameReign(now, reign)) this.#reply(token, { kind: "prints", reign, known });
    else this.#reply(token, { kind: "rejected", reign: null, retry: true, reason: "no longer leads" });
  }

  async #readVersion(token: number, aggregate: string): Promise<void> {
    const index = await readVersion(this.#init.nc, aggregate).catch((error: unknown) => {
      this.#init.log.warn({ err: error }, "an aggregate's version could not be read");
      return undefined;
    });
    this.#run(this.#machine.versionRead(token, aggregate, index));
  }

  async #fence(token: number, subject: string): Promise<void> {
    const { nc } = this.#init;
    try {
      const [fence, stream] = await Promise.all([
        getMessage(nc, STREAM.events, { last_by_subj: subject }),
        streamState(nc, STREAM.events),
      ]);
      this.#run(this.#machine.fenced(token, { fenceSeq: fence?.seq ?? 0, lastSeq: stream.last_seq }));
    } catch (error) {
      this.#init.log.warn({ err: error }, "the log could not be read");
      this.#run(this.#machine.fenced(token, undefined));
    }
  }

  async #reread(minEpoch: number, reason: string): Promise<void> {
    if (this.#rereading) return;
    this.#rereading = true;
    this.#init.log.info({ reason }, "reads the log");
    try {
      if (this.#refusals > 0) await sleep(backoffMs(this.#refusals, REMOTE_POLICY));
      for (let attempt = 0; this.#wanted && !this.#init.nc.isClosed(); attempt++) {
        try {
          const { state, foreign, cutBehind } = await readLog(this.#init.nc, this.#init.inboxPrefix, {
            contracts: this.#init.contracts(),
            nowMs: Date.now(),
          });
          if (!this.#wanted) return;
          if (cutBehind !== undefined)
            this.#init.log.warn(
              { cutBehind },
              "the log's last messages were deleted: it goes on behind them",
            );
          this.#foreign = foreign;
          this.#machine.keepsReading = foreign.length > 0;
          this.#init.onRead(state);
          this.#rereading = false;
          this.#run(this.#machine.lead(state, minEpoch));
          return;
        } catch (error) {
          if (error instanceof LogUnreadable) this.#init.onUnreadable(error.message);
          this.#init.log.warn({ err: error, attempt }, "the log could not be read, tries again");
          await sleep(backoffMs(attempt, LOOPBACK_POLICY));
        }
      }
    } finally {
      this.#rereading = false;
    }
  }

  async #removeForeign(): Promise<void> {
    const foreign = this.#foreign;
    if (foreign.length === 0) return;
    try {
      await removeForeign(this.#init.nc, foreign);
    } catch (error) {
      this.#init.log.warn({ err: error }, "what is foreign in the log could not be removed, tries again");
      return;
    }
    if (this.#foreign !== foreign) return;
    this.#foreign = [];
    this.#machine.keepsReading = false;
  }

  async #look(): Promise<void> {
    if (!this.#machine.reign || this.#machine.busy) return;
    await this.#removeForeign();
    try {
      const { last_seq } = await streamState(this.#init.nc, STREAM.events);
      this.#run(this.#machine.seen(last_seq));
    } catch (error) {
      this.#init.log.debug({ err: error }, "the log's end can't be read");
    }
  }

  #armQuietTimer(): void {
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => this.#run(this.#machine.checkpoint()), QUIET_MS);
    this.#quietTimer.unref();
  }
}
