import { readCommit } from "../../coordinator/sequencer/commits/read-commit.ts";
import {
  type RetireOutcome,
  SequencerMachine,
  type SequencerOutput,
  type SequencerSettings,
} from "../../coordinator/sequencer/sequencer-machine.ts";
import { positionOf } from "../../shared/follow/read-history.ts";
import type { WriteResult } from "../../shared/nats/batch-publisher.ts";
import type { Block } from "../../shared/protocol/block.ts";
import { type CommitReply, commitAggregate } from "../../shared/protocol/commit.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { type IngestReply, PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET, printOf } from "../../shared/protocol/origin.ts";
import type { Reign } from "../../shared/protocol/reign.ts";
import { printOfLogged } from "./own-trail.ts";
import { readLog } from "./sim-coordinator.ts";
import { SimStream } from "./sim-stream.ts";

type Write = Extract<SequencerOutput, { do: "write" }>;
type Fence = Extract<SequencerOutput, { do: "fence" }>;
type Version = Extract<SequencerOutput, { do: "version" }>;

/** An event as an outbox ships it; those of one number and `salt` are the same. */
export function shipped(seq: number, more: Partial<ShippedEvent> & { salt?: string } = {}): ShippedEvent {
  const { salt = "", ...rest } = more;
  const id = `id-${seq}${salt}`;
  return {
    seq,
    timeUs: 1_000_000 + seq,
    subject: "cim.events.person.p1.Created",
    id,
    headerText: "",
    body: Buffer.from(id),
    ...rest,
  };
}

export const markOf = (event: ShippedEvent): LaneMark => ({ seq: event.seq, print: printOf(event) });

let reigns = 0;

/**
 * A sequencer at a log, for tests that name one schedule: all is carried out at once, except what a test holds back.
 */
export class Desk {
  readonly log: SimStream;
  readonly machine: SequencerMachine;
  readonly replies = new Map<number, IngestReply>();
  readonly retirements = new Map<number, RetireOutcome>();
  /** Reasons of every reading anew; with `stays` it is not done. */
  readonly rereads: string[] = [];
  /** What commits were answered; undefined: it was said that nothing can be said. */
  readonly answers = new Map<number, CommitReply | undefined>();
  held: (Write | Fence | Version)[] = [];
  holds: readonly ("write" | "fence" | "version")[] = [];
  stays = false;
  logged: string[] = [];
  #token = 1000;

  constructor(log: SimStream = new SimStream(), settings: Partial<SequencerSettings> = {}) {
    this.log = log;
    this.machine = new SequencerMachine({
      by: "hub",
      rules: { maxMessageBytes: 4096, hub: "hub", isStrong: (domain) => domain === "strong" },
      bounds: { events: 100, bytes: 100_000 },
      marksEvery: 10_000,
      maxWaitingBytes: 1_000_000,
      randomId: () => `r${++reigns}`,
      nowMs: () => 1,
      ...settings,
    });
  }

  lead(minEpoch = 0): this {
    this.run(this.machine.lead(readLog(this.log.messages), minEpoch));
    return this;
  }

  run(outputs: readonly SequencerOutput[]): void {
    for (const output of outputs) this.#carryOut(output);
  }

  /** Lets what was held back happen, first come first. */
  release(result?: WriteResult): void {
    const next = this.held.shift();
    if (!next) throw new Error("nothing is held back");
    if (next.do === "fence") this.#fence(next);
    else if (next.do === "version") this.#version(next);
    else this.#write(next, result);
  }

  /** Gives the token by which `answers` has what it was answered. */
  commit(
    node: string,
    headers: Record<string, string>,
    more: { subject?: string; body?: string } = {},
  ): number {
    const token = this.#token++;
    const { subject = "cim.events.strong.a1.Happened", body = "{}" } = more;
    const headerText = Object.entries(headers)
      .map(([name, value]) => headerLine(name, value))
      .join("");
    const commit = readCommit({ subject }, headerText, Buffer.from(body), 5_000_000);
    if ("error" in commit) this.answers.set(token, commit);
    else this.run(this.machine.commit(node, token, commit));
    return token;
  }

  hello(node: string, seen: Reign | null = null, outbox = { first: 1, last: 0 }): IngestReply | undefined {
    const token = this.#token++;
    this.run(this.machine.hello(node, token, { op: "hello", version: PROTOCOL_VERSION, seen, outbox }));
    return this.replies.get(token);
  }

  incarnate(
    node: string,
    predecessor = 0,
    common = NOTHING_YET,
    reign = this.machine.reign,
  ): IngestReply | undefined {
    const token = this.#token++;
    const request = { op: "incarnate", reign: reign ?? { epoch: 0, id: "x" }, predecessor, common } as const;
    this.run(this.machine.incarnate(node, token, request));
    return this.replies.get(token);
  }

  /** A node that is known and has shipped those events. */
  known(node: string, ...events: readonly ShippedEvent[]): this {
    this.incarnate(node);
    if (events.length > 0) this.block(node, events);
    return this;
  }

  /** Gives the token by which `retirements` has what came of it. */
  retire(node: string): number {
    const token = this.#token++;
    this.run(this.machine.retire(node, token));
    return token;
  }

  block(node: string, events: readonly ShippedEvent[], more: Partial<Block> = {}): IngestReply | undefined {
    const token = this.#token++;
    const first = events[0]?.seq ?? 1;
    const previous = first === 1 ? NOTHING_YET : markOf(shipped(first - 1));
    const block = { incarnation: 1, previous, acceptedHole: false, events, ...more };
    this.run(this.machine.block(node, token, block));
    return this.replies.get(token);
  }

  lastReply(): IngestReply | undefined {
    return [...this.replies.values()].at(-1);
  }

  /** Ids of a node's events in the log, in its order. */
  ids(node?: string): string[] {
    return this.log.messages.flatMap(({ headerText }) => {
      const origin = /Cim-Origin: (\S+) /.exec(headerText)?.[1];
      return origin !== undefined && (node ?? origin) === origin
        ? [/Cim-Id: (\S+)/.exec(headerText)?.[1] ?? ""]
        : [];
    });
  }

  #carryOut(output: SequencerOutput): void {
    switch (output.do) {
      case "write":
        if (this.holds.includes("write")) this.held.push(output);
        else this.#write(output);
        return;
      case "fence":
        if (this.holds.includes("fence")) this.held.push(output);
        else this.#fence(output);
        return;
      case "version":
        if (this.holds.includes("version")) this.held.push(output);
        else this.#version(output);
        return;
      case "answer":
        this.answers.set(output.token, output.reply);
        return;
      case "retired":
        this.retirements.set(output.token, output.outcome);
        return;
      case "reply":
        this.replies.set(output.token, output.reply);
        return;
      case "prints": {
        const has = new Set(this.log.messages.map((message) => printOfLogged(output.node, message)));
        const known = output.request.marks.map(({ print }) => has.has(print));
        this.replies.set(output.token, { kind: "prints", reign: output.reign, known });
        return;
      }
      case "reread":
        this.rereads.push(output.reason);
        if (!this.stays) this.lead(output.minEpoch);
        return;
      case "logged":
        this.logged.push(...output.events.map(({ domain, node }) => `${domain} ${node}`));
    }
  }

  #write({ token, messages, expect }: Write, result?: WriteResult): void {
    this.run(this.machine.written(token, result ?? this.log.write(messages, expect, 1)));
  }

  #version({ token, aggregate }: Version): void {
    const newest = this.log.newestOf((subject) => commitAggregate(subject) === aggregate);
    this.run(this.machine.versionRead(token, aggregate, newest ? positionOf(newest)?.index : 0));
  }

  #fence({ token, subject }: Fence): void {
    const fenceSeq = this.log.newestOf((other) => other === subject)?.seq ?? 0;
    this.run(this.machine.fenced(token, { fenceSeq, lastSeq: this.log.lastSeq }));
  }
}
