import { setTimeout as sleep } from "node:timers/promises";
import type { PlaceRange, Span } from "../../consistency/proof/block-sums.ts";
import { type LoggedPlace, loggedPlace } from "../../consistency/proof/logged-place.ts";
import { type Countable, StreamCount } from "../../consistency/proof/stream-count.ts";
import type { Sum } from "../../consistency/proof/sum.ts";
import { firstKept } from "../../nats/jetstream-api.ts";
import type { Log } from "../../observe/log.ts";
import { controlRecordSubject, SUBJECT } from "../../protocol/subjects.ts";
import { type Counted, LedgerFile } from "./ledger-file.ts";
import {
  type CountedStream,
  exactSum,
  type IsWanted,
  readBlock,
  spansIn,
  touchedBlocks,
} from "./read-blocks.ts";
import type { StoredMessages } from "./stored-messages.ts";

export interface StreamLedgerInit {
  readonly messages: StoredMessages;
  /** Where it is kept; its folder is there. */
  readonly file: string;
  /** The log itself, whose lanes are counted too and where each message stands behind the one before; else a copy. */
  readonly isLog: boolean;
  readonly log: Log;
}

/** The own server answers in less, unless it is gone as well. */
const END_MS = 1000;
/** What was written while the ledger reads waits for its turn; more is read again from the stream. */
const MOST_WAITING = 16_384;
/** What stands before a stream's first message with a place is a copy's own records, or foreign. */
const FIRST_LOOKED_AT = 200;
/** More deleted messages than that, and all is counted again. */
const MOST_DELETED = 10_000;

const REIGN = controlRecordSubject("reign");

/** The lane of an outbox's events in the log. */
export const laneName = (node: string, incarnation: number): string => `${node} ${incarnation}`;

/**
 * What a log or copy comes to, block by block: counted from what its writer has in hand, else read from the stream by
 * headers, and kept over restarts. It says what was written; `upToDate` finds by the stream's own figures when something
 * has gone since and counts the blocks concerned again.
 */
export class StreamLedger {
  readonly #init: StreamLedgerInit;
  readonly #file: LedgerFile;
  readonly #count: StreamCount;
  /** The stream's sequence up to which all is counted, and its figures then. */
  #seq = 0;
  #firstSeq = 1;
  #deleted = 0;
  #loaded = false;
  #ended = false;
  #reading = false;
  #waiting: { readonly messages: readonly Countable[]; readonly firstSeq: number }[] = [];
  #waitingCount = 0;
  #mustRecount = false;
  #turn: Promise<unknown> = Promise.resolve();
  #savedSeq = -1;
  /** Blocks that had more when they were counted first, since this start. */
  readonly shrunk = new Set<number>();

  constructor(init: StreamLedgerInit) {
    this.#init = init;
    this.#count = new StreamCount(init.isLog);
    const { sums, lanes } = this.#count;
    this.#file = new LedgerFile(init.file, { sums, lanes });
  }

  /** The last log index that is counted. */
  get index(): number {
    return this.#count.index;
  }

  /** The first log index that the stream still has; 0: none. @throws the client's errors */
  async firstIndex(): Promise<number> {
    const first = firstKept(await this.#init.messages.figures());
    for await (const part of this.#init.messages.read({ first, last: first + FIRST_LOOKED_AT }, "headers")) {
      for (const { subject, headerText } of part) {
        const place = loggedPlace(subject, headerText);
        if (place) return place.index;
      }
    }
    return 0;
  }

  /** The writer's own word of what it wrote, the last of it at a sequence. What does not continue is read later. */
  written(messages: readonly Countable[], lastSeq: number): void {
    if (!this.#loaded) return;
    const firstSeq = lastSeq - messages.length + 1;
    if (this.#reading) {
      this.#wait(messages, firstSeq);
      return;
    }
    if (this.#continues(messages, firstSeq)) this.#take(messages, firstSeq);
  }

  /** Takes up what was kept, then counts what is new and what has gone. One at a time. @throws ReaderBroken, or the client's errors */
  upToDate(): Promise<void> {
    const done = this.#turn.then(async () => {
      this.#reading = true;
      try {
        if (!this.#loaded) await this.#load();
        await this.#look();
      } finally {
        this.#reading = false;
        this.#waiting = [];
        this.#waitingCount = 0;
      }
      await this.#save();
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** The sum of what stands within a range of log indexes, both ends included. */
  async sumOf(range: PlaceRange, isWanted: IsWanted): Promise<Sum> {
    return await exactSum(this.#stream, range, isWanted);
  }

  /** Where the messages of a range of indexes stand in the stream. */
  spansOf(range: PlaceRange, isWanted: IsWanted): Span[] {
    return spansIn(this.#count.sums, range, isWanted);
  }

  /** Where the log has events of lanes within a range of their outbox's sequences. */
  laneSpans(range: PlaceRange, isWanted: (lane: string) => boolean): Span[] {
    return spansIn(this.#count.lanes, range, isWanted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    // What is being read is read again at the next start.
    await Promise.race([this.#turn, sleep(END_MS, undefined, { ref: false })]);
    if (this.#reading) return;
    await this.#save().catch((error: unknown) =>
      this.#init.log.debug({ err: error }, "the sums were not kept"),
    );
  }

  async #load(): Promise<void> {
    const kept = await this.#file.load();
    // A stream that was put back, or made anew, is another one.
    if (kept && (await this.#isOfStream(kept))) {
      this.#count.restore(kept.mark, kept.highest);
      this.#seq = kept.seq;
      this.#firstSeq = kept.firstSeq;
      this.#deleted = kept.deleted;
      this.#savedSeq = kept.seq;
    } else this.#reset();
    this.#loaded = true;
  }

  get #stream(): CountedStream {
    return { count: this.#count, messages: this.#init.messages, upToSeq: this.#seq };
  }

  #continues(messages: readonly Countable[], firstSeq: number): boolean {
    if (firstSeq === this.#seq + 1) return true;
    if (!this.#init.isLog || firstSeq <= this.#seq) return false;
    // Between two of the sequencer's writes there may be what it did not write, and nothing else.
    const [first] = messages;
    const place = first && loggedPlace(first.subject, first.headerText);
    return place !== undefined && place.index === this.index + 1;
  }

  #wait(messages: readonly Countable[], firstSeq: number): void {
    this.#waiting.push({ messages, firstSeq });
    this.#waitingCount += messages.length;
    if (this.#waitingCount <= MOST_WAITING) return;
    this.#waiting = [];
    this.#waitingCount = 0;
  }

  #take(messages: readonly Countable[], firstSeq: number): void {
    const grows = this.#count.takeAll(messages, firstSeq);
    // A log that was cut goes on at an index that it had before.
    if (this.#init.isLog && !grows) this.#mustRecount = true;
    this.#seq = firstSeq + messages.length - 1;
  }

  async #look(): Promise<void> {
    const { messages, log } = this.#init;
    const state = await messages.figures();
    if (this.#mustRecount || state.last_seq < this.#seq) this.#reset();
    const deleted = state.num_deleted ?? 0;
    const first = firstKept(state);
    if (this.#seq > 0 && (deleted > this.#deleted || first > this.#firstSeq)) {
      const blocks = await this.#recount(first, deleted > this.#deleted);
      log.debug({ blocks }, "messages have gone: counted again");
    }
    // As they were asked: a deletion that came since shows the next time.
    this.#firstSeq = first;
    this.#deleted = deleted;
    if (this.#seq === 0) this.#seq = first - 1;
    await this.#catchUp(state.last_seq);
  }

  async #catchUp(last: number): Promise<void> {
    for (let upTo = last; ; ) {
      const next = this.#waiting[0];
      if (next && next.firstSeq <= this.#seq + 1) {
        this.#waiting.shift();
        this.#waitingCount -= next.messages.length;
        if (next.firstSeq === this.#seq + 1) this.#take(next.messages, next.firstSeq);
        continue;
      }
      if (next) upTo = Math.max(upTo, next.firstSeq - 1);
      if (this.#seq >= upTo) return;
      const end = next ? next.firstSeq - 1 : upTo;
      await this.#readOn(end);
      this.#seq = Math.max(this.#seq, end);
    }
  }

  async #readOn(upTo: number): Promise<void> {
    const span = { first: this.#seq + 1, last: upTo };
    for await (const part of this.#init.messages.read(span, "headers", [SUBJECT.allEvents])) {
      if (this.#ended) throw new Error("the ledger has ended");
      for (const message of part) {
        const { seq, subject, headerText } = message;
        if (seq <= this.#seq) continue;
        const place = loggedPlace(subject, headerText);
        if (place && this.#isCut(place, subject)) {
          this.#mustRecount = true;
          return;
        }
        if (this.#belongs(place, seq)) this.#count.take(message, seq);
        this.#seq = seq;
      }
    }
  }

  /** A reign that begins at an index that the log had: its end was cut off. */
  #isCut(place: LoggedPlace, subject: string): boolean {
    return this.#init.isLog && place.index <= this.index && subject === REIGN;
  }

  /** In a log, what does not stand where a sequencer would have put it is foreign: indexes never grow faster than sequences. */
  #belongs(place: LoggedPlace | undefined, seq: number): boolean {
    const { mark } = this.#count;
    if (!place || !this.#init.isLog || !mark) return place !== undefined;
    return place.index > mark.index && place.index - mark.index <= seq - mark.seq;
  }

  /** Counts again the blocks of which something may have gone. Gives how many. */
  async #recount(firstSeq: number, isDeleted: boolean): Promise<number> {
    const deleted = isDeleted ? await this.#deletedNow() : [];
    this.#count.sums.forgetBefore(firstSeq);
    this.#count.lanes.forgetBefore(firstSeq);
    const touched = touchedBlocks(this.#count.sums, firstSeq, deleted);
    for (const block of touched) {
      if (this.#ended) throw new Error("the ledger has ended");
      await this.#recountBlock(block, firstSeq);
    }
    return touched.length;
  }

  /** undefined: too many to say. */
  async #deletedNow(): Promise<readonly number[] | undefined> {
    const { deleted } = await this.#init.messages.figures(true);
    return deleted && deleted.length > MOST_DELETED ? undefined : (deleted ?? []);
  }

  async #recountBlock(block: number, firstSeq: number): Promise<void> {
    const { sums } = this.#count;
    const before = sums.total(block).count;
    const isPurged = (sums.spanOf(block)?.first ?? firstSeq) < firstSeq;
    const found = await readBlock(this.#stream, block);
    this.#count.replace(block, found);
    if (!isPurged && found.length < before) this.shrunk.add(block);
  }

  #reset(): void {
    this.#count.reset();
    this.#mustRecount = false;
    this.#seq = 0;
    this.#firstSeq = 1;
    this.#deleted = 0;
  }

  async #isOfStream({ seq, mark }: Counted): Promise<boolean> {
    const { last_seq } = await this.#init.messages.figures();
    if (last_seq < seq) return false;
    if (!mark) return true;
    for await (const [message] of this.#init.messages.read({ first: mark.seq, last: mark.seq }, "headers")) {
      const place = message && loggedPlace(message.subject, message.headerText);
      return place?.index === mark.index && place.id === mark.id;
    }
    return false;
  }

  async #save(): Promise<void> {
    if (this.#seq === this.#savedSeq) return;
    const { mark, highest } = this.#count;
    const at = { seq: this.#seq, mark, highest, firstSeq: this.#firstSeq, deleted: this.#deleted };
    await this.#file.save(at);
    this.#savedSeq = at.seq;
  }
}
