import { UplinkMachine } from "../../agent/uplink/uplink-machine.ts";
import type { UplinkOutput } from "../../agent/uplink/uplink-output.ts";
import type { Block } from "../../shared/protocol/block.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";
import type { IngestReply, IngestRequest, LaneReply, TakenReply } from "../../shared/protocol/messages.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET } from "../../shared/protocol/origin.ts";
import type { Reign } from "../../shared/protocol/reign.ts";
import { markOf, shipped } from "./desk.ts";

export const reign = (epoch: number): Reign => ({ epoch, id: `r${epoch}` });
export const taken = (seq: number): TakenReply => ({
  kind: "taken",
  reign: reign(1),
  accepted: seq,
  confirmed: seq,
  refused: [],
});
export const kinds = (outputs: readonly UplinkOutput[]): string[] => outputs.map((output) => output.do);

/** An outbox and the uplink's machine, for tests that say themselves what the hub answers. */
export class Outbox {
  readonly machine: UplinkMachine;
  readonly outputs: UplinkOutput[] = [];
  readonly asked: IngestRequest[] = [];
  readonly blocks: Block[] = [];
  readonly raised: string[] = [];
  /** What a copy has of this outbox's own history; the machine is told nothing of it above what it asks for. */
  inCopy: ShippedEvent[] = [];
  /** Whether that reaches to the outbox's first event. */
  copyIsWhole = true;
  mayTrim = 0;
  slowToSetAside = false;
  #events: ShippedEvent[] = [];
  #last = 0;
  #askToken = 0;
  readonly #shipTokens: number[] = [];

  /** Holds events 1 to `count`; those from `differsFrom` on are another outbox's of the same number. */
  constructor(count: number, differsFrom = Number.POSITIVE_INFINITY, blockBytes = 10_000) {
    const settings = { maxInFlight: 4, blockBytes: () => blockBytes, maxQueueBytes: 100_000 };
    this.machine = new UplinkMachine(settings);
    for (let seq = 1; seq <= count; seq++)
      this.#events.push(shipped(seq, seq >= differsFrom ? { salt: "-mine" } : {}));
    this.#last = count;
  }

  /** The mark at an event, as an outbox has it that never was another. */
  mark(seq: number): LaneMark {
    return seq === 0 ? NOTHING_YET : markOf(shipped(seq));
  }

  /** The mark at one of its own events. */
  own(seq: number): LaneMark {
    return markOf(this.#events.find((event) => event.seq === seq) as ShippedEvent);
  }

  append(): void {
    this.#last += 1;
    const event = shipped(this.#last);
    this.#events.push(event);
    this.run(this.machine.offer([event]));
  }

  delete(seq: number): void {
    this.#events = this.#events.filter((event) => event.seq !== seq);
  }

  /** Drops all before an event, into the copy. */
  trimBefore(seq: number): void {
    this.inCopy = this.#events.filter((event) => event.seq < seq);
    this.#events = this.#events.filter((event) => event.seq >= seq);
  }

  shipped(): number[][] {
    return this.blocks.map(({ events }) => events.map(({ seq }) => seq));
  }

  begin(): void {
    this.run(this.machine.begin());
  }

  /** Begins, and the hub tells that lane; its top is its mark unless told otherwise. */
  greet(lane: Partial<LaneReply> & { mark: LaneMark }): void {
    this.begin();
    this.answer({ kind: "lane", ...lane });
  }

  /** The hub's answer to what was asked last. */
  answer(reply: { kind: "lane"; mark: LaneMark } & Partial<LaneReply>): void {
    this.run(this.machine.answered(this.#askToken, laneReply(reply)));
  }

  answerAgain = this.answer;

  /** Which events the hub has, of those it was asked for. */
  answerKnown(known: (mark: LaneMark) => boolean, of: Reign = reign(1)): void {
    const request = this.asked.at(-1);
    if (request?.op !== "prints") throw new Error(`asked ${request?.op}, not prints`);
    this.run(
      this.machine.answered(this.#askToken, { kind: "prints", reign: of, known: request.marks.map(known) }),
    );
  }

  /** The hub's answer to the n-th block. */
  reply(block: number, reply: IngestReply | undefined): void {
    this.run(this.machine.answered(this.#shipTokens[block] as number, reply));
  }

  run(outputs: readonly UplinkOutput[]): void {
    for (const output of outputs) this.#carryOut(output);
  }

  #carryOut(output: UplinkOutput): void {
    this.outputs.push(output);
    const { machine } = this;
    switch (output.do) {
      case "survey": {
        const first = this.#events[0]?.seq ?? this.#last + 1;
        this.run(machine.surveyed(output.token, { first, last: this.#last }));
        return;
      }
      case "ask":
        this.#askToken = output.token;
        this.asked.push(output.request);
        return;
      case "ship":
        this.#shipTokens.push(output.token);
        this.blocks.push(output.block);
        return;
      case "find": {
        const event = (output.in === "copy" ? this.inCopy : this.#events).find(
          ({ seq }) => seq === output.seq,
        );
        this.run(machine.found(output.token, event && markOf(event)));
        return;
      }
      case "sample": {
        const own = [...this.inCopy, ...this.#events].filter(
          ({ seq }) => seq > output.after && seq <= output.upTo,
        );
        this.run(machine.sampled(output.token, own.map(markOf)));
        return;
      }
      case "read":
        this.run(machine.offer(this.#events.filter(({ seq }) => seq >= output.from)));
        return;
      case "refill": {
        const events = this.inCopy.filter(({ seq }) => seq > output.after && seq < output.before);
        this.run(machine.offer(events));
        this.run(machine.refillEnded(output.token, this.copyIsWhole));
        return;
      }
      case "set-aside":
        if (!this.slowToSetAside) this.run(machine.asideDone(output.token));
        return;
      case "confirmed":
        this.mayTrim = output.seq;
        return;
      case "raise":
        this.raised.push(output.code);
    }
  }
}

function laneReply(reply: { mark: LaneMark } & Partial<LaneReply>): LaneReply {
  return {
    kind: "lane",
    version: PROTOCOL_VERSION,
    reign: reign(1),
    incarnation: 1,
    top: reply.mark.seq,
    confirmed: 0,
    refused: [],
    ...reply,
  };
}
