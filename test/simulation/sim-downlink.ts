import { DownlinkMachine, type DownlinkOutput } from "../../agent/downlink/downlink-machine.ts";
import { continuation } from "../../shared/follow/continuity.ts";
import { beginsReign } from "../../shared/follow/read-history.ts";
import type { ReignHistory, ReignStart } from "../../shared/follow/reign-history.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { type LogPosition, parseLogPosition, sameReign } from "../../shared/protocol/reign.ts";
import { controlRecordSubject } from "../../shared/protocol/subjects.ts";
import { delayMs, type Environment } from "./environment.ts";
import { guardedWrite } from "./guarded-write.ts";
import type { SimStream } from "./sim-stream.ts";

const REIGN = controlRecordSubject("reign");
const RETRY_MS = 40;
const LINK_TIMEOUT_MS = 60;

export function positionOf(message: StoredMessage | undefined): LogPosition | undefined {
  return message && parseLogPosition(headerValue(message.headerText, HEADER.log));
}

/** A stream's reigns, as read-history.ts reads them from a server: by their records, and the first message's. */
export function historyOf({ messages }: SimStream): ReignHistory {
  const reigns: ReignStart[] = [];
  const first = messages.find((message) => positionOf(message));
  messages.forEach((message) => {
    const position = positionOf(message);
    if (!position || (message !== first && !(message.subject === REIGN && beginsReign(message)))) return;
    if (reigns.some(({ reign }) => sameReign(reign, position.reign))) return;
    reigns.push({ reign: position.reign, index: position.index, seq: message.seq });
  });
  return { reigns, last: positionOf(messages.findLast((message) => positionOf(message))) };
}

/** Index of a log's first message; 0: it has none. */
export function firstIndexOf({ messages }: SimStream): number {
  return positionOf(messages.find((message) => positionOf(message)))?.index ?? 0;
}

/** Whether a copy's last message is of the reign that began last in it, as copy-state.ts asks. */
function endsWell(copy: SimStream): boolean {
  const reign = positionOf(copy.messages.at(-1))?.reign;
  const known = historyOf(copy).reigns.at(-1)?.reign;
  return !!reign && !!known && sameReign(reign, known);
}

export interface SimDownlinkInit {
  readonly env: Environment;
  readonly name: string;
  readonly copy: SimStream;
  readonly linkUp: () => boolean;
  /** Grows when the leaf's own server restarts. */
  readonly serverRun: () => number;
  /** Asks the uplink to greet anew, then says whether own events are all in the log or the outbox. */
  readonly regreet: () => () => boolean;
  /** Deletes a message of the copy that the log does not have, after setting aside what is nowhere else. */
  readonly drop: (message: StoredMessage) => void;
  readonly onCopied: (messages: readonly StoredMessage[]) => void;
  /** The copy is sound now, or it may not be. */
  readonly onSound: (sound: boolean) => void;
}

/** One run of an agent's downlink: the machine and what its outputs mean. */
export class SimDownlink {
  readonly #init: SimDownlinkInit;
  readonly machine: DownlinkMachine;
  readonly raised = new Set<string>();
  #ended = false;
  #reading = 0;
  #readNext = 0;
  #tries = 0;
  #hubServerRun = 0;
  /** What the next write expects the copy's end to be. */
  #copyEnd = 0;

  constructor(init: SimDownlinkInit, batchEvents: number) {
    this.#init = init;
    this.machine = new DownlinkMachine({
      everything: () => true,
      batchEvents,
      batchBytes: 20_000,
      maxQueueBytes: 4000,
    });
  }

  begin(): void {
    this.#tries += 1;
    this.#carryOut(this.machine.begin());
  }

  /** Looks at its copy's end, as an agent does now and then. */
  look(): void {
    if (this.machine.phase === "following" && this.machine.idle && this.#init.copy.lastSeq !== this.#copyEnd)
      this.begin();
  }

  lost(): void {
    this.#carryOut(this.machine.lost());
    this.#retry();
  }

  end(): void {
    this.#ended = true;
  }

  #later(what: () => void): void {
    this.#init.env.scheduler.after(delayMs(this.#init.env), () => {
      if (!this.#ended) what();
    });
  }

  #retry(): void {
    const tries = ++this.#tries;
    this.#init.env.scheduler.after(RETRY_MS, () => {
      if (!this.#ended && tries === this.#tries) this.begin();
    });
  }

  #carryOut(outputs: readonly DownlinkOutput[]): void {
    for (const output of outputs) this.#do(output);
  }

  #do(output: DownlinkOutput): void {
    const { env, name, copy } = this.#init;
    switch (output.do) {
      case "survey":
        this.#later(() => this.#survey(output.token));
        return;
      case "read":
        this.#reading += 1;
        this.#readNext = output.fromSeq;
        this.#hubServerRun = env.hubServerRun;
        this.#init.onSound(true);
        this.#pumpLater();
        return;
      case "stop-reading":
        this.#init.onSound(false);
        this.#reading += 1;
        return;
      case "write": {
        const run = this.#init.serverRun();
        const gone = () => run !== this.#init.serverRun();
        const expect = { lastSeq: this.#copyEnd };
        env.trace(
          () =>
            `${name} copies ${output.messages.length} after ${expect.lastSeq}, up to ${output.last.index}`,
        );
        guardedWrite(env, copy, output.messages, expect, gone, (result) => {
          if (this.#ended) return;
          if (result.kind === "stored") {
            this.#copyEnd = result.lastSeq;
            // Not when the copy has become doubtful meanwhile.
            if (this.machine.phase === "following")
              this.#init.onCopied(
                copy.from(result.lastSeq - output.messages.length + 1, output.messages.length),
              );
          }
          this.#carryOut(this.machine.written(result));
        });
        return;
      }
      case "discard": {
        env.trace(() => `${name} discards beyond ${output.beyond}`);
        this.#discardWhen(this.#init.regreet(), output.token, output.beyond);
        return;
      }
      case "empty":
        // All of it is older than the log.
        for (const message of [...copy.messages]) copy.delete(message.seq);
        this.#carryOut(this.machine.discarded(output.token, true));
        return;
      case "wait":
        this.#retry();
        return;
      case "raise":
        env.trace(() => `${name} raises ${output.code}: ${output.detail}`);
        this.raised.add(output.code);
    }
  }

  #survey(token: number): void {
    const { env, copy, linkUp } = this.#init;
    for (let last = copy.messages.at(-1); last && !endsWell(copy); last = copy.messages.at(-1))
      copy.delete(last.seq);
    const mine = historyOf(copy);
    const end = copy.lastSeq;
    if (!linkUp() || env.random.chance(env.weather.failedReads)) {
      env.scheduler.after(LINK_TIMEOUT_MS, () => {
        if (!this.#ended) this.#carryOut(this.machine.surveyed(token, undefined));
      });
      return;
    }
    this.#later(() => {
      const log = { ...historyOf(env.log), firstIndex: firstIndexOf(env.log) };
      this.#later(() => {
        env.trace(() => `${this.#init.name} compares ${JSON.stringify({ mine, log })}`);
        if (this.machine.awaits(token)) this.#copyEnd = end;
        this.#carryOut(this.machine.surveyed(token, { copy: mine, log }));
      });
    });
  }

  #discardWhen(ready: () => boolean, token: number, beyond: number): void {
    const { copy } = this.#init;
    let begun = false;
    const step = () => {
      if (!this.machine.awaits(token)) return;
      if (!begun && ready()) {
        begun = true;
        // A record in the copy: a write that is still on its way to it finds another end than it expects.
        copy.lastSeq += 1;
      }
      if (!begun) {
        this.#init.env.scheduler.after(10, () => {
          if (!this.#ended) step();
        });
        return;
      }
      const newest = copy.messages.at(-1);
      if (newest && (positionOf(newest)?.index ?? 0) > beyond) {
        this.#init.drop(newest);
        if (this.#init.env.random.chance(0.5)) step();
        else this.#later(step);
      } else this.#carryOut(this.machine.discarded(token, true));
    };
    step();
  }

  #pumpLater(afterMs?: number): void {
    const reading = this.#reading;
    const { env } = this.#init;
    env.scheduler.after(afterMs ?? delayMs(env), () => {
      if (!this.#ended && reading === this.#reading) this.#pump();
    });
  }

  /** The log's consumer. A link that is cut takes it down; a restart of the hub's server may go unnoticed for a while. */
  #pump(): void {
    const { env, linkUp } = this.#init;
    const restarted = this.#hubServerRun !== env.hubServerRun;
    if (!linkUp() || (restarted && env.random.chance(0.2))) {
      this.lost();
      return;
    }
    const some = this.machine.hungry ? env.log.from(this.#readNext, env.random.between(1, 8)) : [];
    const last = some.at(-1);
    if (!last) {
      this.#pumpLater(8);
      return;
    }
    this.#readNext = last.seq + 1;
    this.#pumpLater();
    this.#carryOut(this.machine.offer(some));
  }
}

/** Whether each message of a log continues the one before, by the followers' own rule. */
export function isContinuous(messages: readonly StoredMessage[]): boolean {
  let after: LogPosition | undefined;
  return messages.every((message) => {
    const next = continuation(after, message, true);
    if (next.kind === "foreign") return true;
    if (next.kind !== "continues") return false;
    after = next.position;
    return true;
  });
}
