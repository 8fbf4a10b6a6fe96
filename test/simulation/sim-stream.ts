import type { OutgoingMessage, WriteExpectation, WriteResult } from "../../shared/nats/batch-publisher.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";

export interface StreamSnapshot {
  readonly messages: readonly StoredMessage[];
  readonly lastSeq: number;
}

/** Up to so many messages are written one by one, each expecting the one before; more as an atomic batch. */
const MAX_CHAINED = 8;

/**
 * A JetStream stream as far as the protocol leans on it: sequences that never go back, expectations judged when a message
 * is stored, atomic batches, deletion that leaves gaps.
 */
export class SimStream {
  messages: StoredMessage[] = [];
  lastSeq = 0;

  get firstSeq(): number {
    return this.messages[0]?.seq ?? this.lastSeq + 1;
  }

  append(subject: string, headerText: string, body: Uint8Array, timeUs: number): StoredMessage {
    const stored = { seq: ++this.lastSeq, timeUs, subject, headerText, body };
    this.messages.push(stored);
    return stored;
  }

  /** Stores what the guard lets through. `prefix`: the writer or the server ended after so many of a chain. */
  write(
    messages: readonly OutgoingMessage[],
    expect: WriteExpectation,
    timeUs: number,
    prefix: number = messages.length,
  ): WriteResult {
    const chained = messages.length <= MAX_CHAINED && !expect.allOrNothing;
    if (prefix < messages.length && !chained) return { kind: "unknown", reason: "an unfinished batch" };
    for (let i = 0; i < Math.min(prefix, messages.length); i++) {
      const message = messages[i] as OutgoingMessage;
      const judged = i === 0 || chained;
      const wanted = (expect.lastSeq ?? this.lastSeq) + i;
      if (judged && (wanted !== this.lastSeq || !this.#isNewest(expect))) {
        const reason = `wrong last sequence: ${this.lastSeq}`;
        return i === 0
          ? { kind: "refused", errCode: 10071, reason }
          : { kind: "unknown", reason: `only part was stored: ${reason}` };
      }
      // The stream's own transform.
      const subject = message.subject.replace(/^cim\.log\./, "cim.events.");
      this.append(subject, message.headerText, message.body, timeUs);
    }
    return { kind: "stored", lastSeq: this.lastSeq };
  }

  newestOf(isWanted: (subject: string) => boolean): StoredMessage | undefined {
    return this.messages.findLast(({ subject }) => isWanted(subject));
  }

  get(seq: number): StoredMessage | undefined {
    const at = this.#indexOf(seq);
    const message = this.messages[at];
    return message?.seq === seq ? message : undefined;
  }

  /** Up to `count` messages from a sequence on. */
  from(seq: number, count: number): StoredMessage[] {
    const at = this.#indexOf(seq);
    return this.messages.slice(at, at + count);
  }

  /** Drops all before a sequence. */
  purgeBefore(seq: number): StoredMessage[] {
    return this.messages.splice(0, this.#indexOf(seq));
  }

  delete(seq: number): void {
    const at = this.#indexOf(seq);
    if (this.messages[at]?.seq === seq) this.messages.splice(at, 1);
  }

  snapshot(): StreamSnapshot {
    return { messages: [...this.messages], lastSeq: this.lastSeq };
  }

  restore(snapshot: StreamSnapshot): void {
    this.messages = [...snapshot.messages];
    this.lastSeq = snapshot.lastSeq;
  }

  #isNewest({ newest }: WriteExpectation): boolean {
    if (!newest) return true;
    return (this.newestOf((subject) => subject === newest.subject)?.seq ?? 0) === newest.seq;
  }

  /** Of the first message at or after a sequence. */
  #indexOf(seq: number): number {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.messages[middle] as StoredMessage).seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
