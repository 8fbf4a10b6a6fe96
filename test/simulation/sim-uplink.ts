import { UplinkMachine } from "../../agent/uplink/uplink-machine.ts";
import type { UplinkOutput } from "../../agent/uplink/uplink-output.ts";
import { encodeBlock } from "../../shared/protocol/block.ts";
import type { IngestReply, Refusal } from "../../shared/protocol/messages.ts";
import type { Reign } from "../../shared/protocol/reign.ts";
import { delayMs, type Environment, type Payload } from "./environment.ts";
import type { OwnTrail } from "./own-trail.ts";
import type { SimStream } from "./sim-stream.ts";

const ASK_TIMEOUT_MS = 100;
const RETRY_MS = 40;
const SLOW_RETRY_MS = 150;

export interface SimUplinkInit {
  readonly env: Environment;
  readonly name: string;
  readonly outbox: SimStream;
  readonly own: OwnTrail;
  readonly seen: Reign | undefined;
  readonly send: (payload: Payload, onReply: (reply: IngestReply) => void) => void;
  readonly setAside: (refusal: Refusal) => void;
  readonly blockBytes: number;
}

/** One run of an agent's uplink: the machine and what its outputs mean. */
export class SimUplink {
  readonly #init: SimUplinkInit;
  readonly machine: UplinkMachine;
  /** Up to there the outbox may be trimmed. */
  confirmed = 0;
  /** A hole that the machine stopped at, as its condition tells it. */
  hole: { after: number; before: number } | undefined;
  readonly raised = new Set<string>();
  #ended = false;
  #reading = 0;
  #readNext = 0;
  #readerIdle = false;
  #tries = 0;
  #settingAside: (() => void)[] = [];

  constructor(init: SimUplinkInit) {
    this.#init = init;
    const settings = {
      maxInFlight: 4,
      blockBytes: () => init.blockBytes,
      maxQueueBytes: init.blockBytes * 3,
    };
    this.machine = new UplinkMachine(settings, init.seen);
  }

  begin(): void {
    this.#tries += 1;
    this.#carryOut(this.machine.begin());
  }

  /** The link or the own server is gone; tries go on. */
  lost(): void {
    this.#carryOut(this.machine.lost());
    this.#retry(RETRY_MS);
  }

  end(): void {
    this.#ended = true;
  }

  /** Something was appended. */
  wake(): void {
    if (this.#readerIdle) this.#pumpLater();
  }

  acceptHole(): void {
    if (!this.hole) return;
    const { after, before } = this.hole;
    this.hole = undefined;
    this.#carryOut(this.machine.acceptHole(after, before));
  }

  #later(what: () => void): void {
    this.#init.env.scheduler.after(delayMs(this.#init.env), () => {
      if (!this.#ended) what();
    });
  }

  #retry(afterMs: number): void {
    const tries = ++this.#tries;
    this.#init.env.scheduler.after(afterMs, () => {
      if (!this.#ended && tries === this.#tries) this.begin();
    });
  }

  #carryOut(outputs: readonly UplinkOutput[]): void {
    for (const output of outputs) this.#do(output);
    if (this.machine.hungry && this.#readerIdle) this.#pumpLater();
  }

  #do(output: UplinkOutput): void {
    const { env, outbox, own, name } = this.#init;
    switch (output.do) {
      case "survey":
        this.#later(() => {
          const failed = env.random.chance(env.weather.failedReads);
          const range = { first: outbox.firstSeq, last: outbox.lastSeq };
          this.#carryOut(this.machine.surveyed(output.token, failed ? undefined : range));
        });
        return;
      case "ask":
        env.trace(() => `${name} asks ${JSON.stringify(output.request)}`);
        this.#ask(output.token, { request: JSON.parse(JSON.stringify(output.request)) });
        return;
      case "ship":
        env.trace(() => {
          const { incarnation, previous, events } = output.block;
          return `${name} ships ${incarnation}: ${previous.seq} > ${events.map(({ seq }) => seq)}`;
        });
        this.#ask(output.token, { block: encodeBlock(output.block) });
        return;
      case "find":
        this.#later(() => this.#carryOut(this.machine.found(output.token, own.find(output.seq, output.in))));
        return;
      case "sample":
        this.#later(() =>
          this.#carryOut(this.machine.sampled(output.token, own.sample(output.after, output.upTo))),
        );
        return;
      case "refill":
        this.#later(() => this.#refill(output.token, output.after, output.before));
        return;
      case "read":
        this.#reading += 1;
        this.#readNext = output.from;
        this.#pumpLater();
        return;
      case "stop-reading":
        this.#reading += 1;
        this.#readerIdle = false;
        return;
      case "wait":
        this.#retry(output.slow ? SLOW_RETRY_MS : RETRY_MS);
        return;
      case "set-aside":
        this.#inOrder(() => {
          for (const refusal of output.refusals) this.#init.setAside(refusal);
          this.#carryOut(this.machine.asideDone(output.token));
        });
        return;
      case "confirmed":
        env.trace(() => `${name} may trim up to ${output.seq}`);
        if (output.seq === 0) {
          this.confirmed = 0;
          this.#settingAside = this.#settingAside.map(() => () => undefined);
        } else
          this.#inOrder(() => {
            this.confirmed = output.seq;
          });
        return;
      case "raise": {
        env.trace(() => `${name} raises ${output.code}: ${output.detail}`);
        this.raised.add(output.code);
        if (output.code !== "log-hole") return;
        const [after, before] = [...output.detail.matchAll(/\d+/g)].map(Number);
        this.hole = { after: after as number, before: before as number };
        return;
      }
      case "clear":
        this.raised.delete(output.code);
    }
  }

  #ask(token: number, payload: Payload): void {
    let answered = false;
    this.#init.send(payload, (reply) => {
      if (this.#ended) return;
      answered = true;
      this.#init.env.trace(() => `${this.#init.name} hears ${JSON.stringify(reply)}`);
      this.#carryOut(this.machine.answered(token, reply));
    });
    this.#init.env.scheduler.after(ASK_TIMEOUT_MS, () => {
      if (!answered && !this.#ended) this.#carryOut(this.machine.answered(token, undefined));
    });
  }

  #refill(token: number, after: number, before: number): void {
    const events = this.#init.own.inCopy(after, before);
    const whole = this.#init.own.path().length > 0;
    const step = () => {
      if (!this.machine.awaits(token)) return;
      if (!this.machine.hungry) {
        this.#later(step);
        return;
      }
      const some = events.splice(0, this.#init.env.random.between(1, 4));
      if (some.length > 0) {
        this.#carryOut(this.machine.offer(some));
        this.#later(step);
      } else this.#carryOut(this.machine.refillEnded(token, whole));
    };
    step();
  }

  #pumpLater(): void {
    this.#readerIdle = false;
    const reading = this.#reading;
    this.#later(() => {
      if (reading === this.#reading) this.#pump();
    });
  }

  #pump(): void {
    const some = this.machine.hungry
      ? this.#init.outbox.from(this.#readNext, this.#init.env.random.between(1, 5))
      : [];
    const last = some.at(-1);
    if (!last) {
      this.#readerIdle = true;
      return;
    }
    this.#readNext = last.seq + 1;
    this.#pumpLater();
    this.#carryOut(this.machine.offer(some.map((message) => this.#init.own.shipped(message))));
  }

  /** One after the other, so that nothing is confirmed before what came with it is set aside. */
  #inOrder(what: () => void): void {
    this.#settingAside.push(what);
    if (this.#settingAside.length > 1) return;
    const next = () => {
      this.#settingAside[0]?.();
      this.#settingAside.shift();
      if (this.#settingAside.length > 0) this.#later(next);
    };
    this.#later(next);
  }
}
