import {
  BlockSums,
  blockOf,
  firstOfBlock,
  lastOfBlock,
  type PlaceRange,
  type Span,
} from "../../consistency/proof/block-sums.ts";
import { type LoggedPlace, loggedPlace, outboxOrigin } from "../../consistency/proof/logged-place.ts";
import { PlaceHash } from "../../consistency/proof/place-hash.ts";
import { RecentHashes } from "../../consistency/proof/recent-hashes.ts";
import { joinedSpans } from "../../consistency/proof/spans.ts";
import { minus, plus, type Sum } from "../../consistency/proof/sum.ts";
import { firstKept } from "../../nats/jetstream-api.ts";
import type { Log } from "../../observe/log.ts";
import { controlRecordPublishSubject, controlRecordSubject, SUBJECT } from "../../protocol/subjects.ts";
import { type Counted, LedgerFile } from "./ledger-file.ts";
import type { StoredMessages } from "./stored-messages.ts";

export interface StreamLedgerInit {
  readonly messages: StoredMessages;
  /** Where it is kept; its folder is there. */
  readonly file: string;
  /** The log itself, whose lanes are counted too and where each message stands behind the one before; else a copy. */
  readonly isLog: boolean;
  readonly log: Log;
}

/** A message as it was just written. */
interface Written {
  readonly subject: string;
  readonly headerText: string;
}

export type IsWanted = (domain: string) => boolean;

/** What was written while the ledger reads waits for its turn; more is read again from the stream. */
const MOST_WAITING = 16_384;
/** What stands before a stream's first message with a place is a copy's own records, or foreign. */
const FIRST_LOOKED_AT = 200;
/** More deleted messages than that, and all is counted again. */
const MOST_DELETED = 10_000;

const NOTHING_COUNTED: Counted = { seq: 0, mark: null, highest: 0, firstSeq: 1, deleted: 0 };
const REIGNS = new Set([controlRecordSubject("reign"), controlRecordPublishSubject("reign")]);

/** The lane of an outbox's events in the log. */
export const laneName = (node: string, incarnation: number): string => `${node} ${incarnation}`;

/**
 * What a log or copy comes to, block by block: counted from what its writer has in hand, else read from the stream by
 * headers, and kept over restarts. It says what was written; `upToDate` finds by the stream's own figures when something
 * has gone since and counts the blocks concerned again.
 */
export class StreamLedger {
  readonly sums = new BlockSums();
  /** Of a log: by origin and incarnation, places are the outbox's sequences, spans the log's stream. */
  readonly lanes = new BlockSums();
  readonly #init: StreamLedgerInit;
  readonly #file: LedgerFile;
  readonly #hash = new PlaceHash();
  readonly #recent = new RecentHashes();
  #at = NOTHING_COUNTED;
  #loaded = false;
  #ended = false;
  #reading = false;
  #waiting: { readonly messages: readonly Written[]; readonly firstSeq: number }[] = [];
  #waitingCount = 0;
  #mustRecount = false;
  #turn: Promise<unknown> = Promise.resolve();
  #savedSeq = -1;
  /** Blocks that had more when they were counted first, since this start. */
  readonly shrunk = new Set<number>();

  constructor(init: StreamLedgerInit) {
    this.#init = init;
    this.#file = new LedgerFile(init.file, { sums: this.sums, lanes: this.lanes });
  }

  /** The last log index that is counted. */
  get index(): number {
    return this.#at.mark?.index ?? 0;
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
  written(messages: readonly Written[], lastSeq: number): void {
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

  /**
   * The sum of what stands within a range of log indexes. Whole blocks are known; at its ends the rest of a block is told
   * from the newest messages or read.
   */
  async sumOf({ from, to }: PlaceRange, isWanted: IsWanted): Promise<Sum> {
    if (to < from) return { count: 0, high: 0, low: 0 };
    const [first, last] = [blockOf(from), blockOf(to)];
    let sum = this.sums.sum(first, last, isWanted);
    if (from > firstOfBlock(first))
      sum = minus(sum, await this.#read(first, (index) => index < from, isWanted));
    const after =
      to < lastOfBlock(last) ? this.#recent.sumBetween(to, lastOfBlock(last), isWanted) : undefined;
    if (after) sum = minus(sum, after);
    else if (to < lastOfBlock(last))
      sum = minus(sum, await this.#read(last, (index) => index > to, isWanted));
    return sum;
  }

  /** Where the messages of a range of indexes stand in the stream. */
  spansOf(range: PlaceRange, isWanted: IsWanted): Span[] {
    return spansIn(this.sums, range, isWanted);
  }

  /** Where the log has events of lanes within a range of their outbox's sequences. */
  laneSpans(range: PlaceRange, isWanted: (lane: string) => boolean): Span[] {
    return spansIn(this.lanes, range, isWanted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await this.#turn;
    await this.#save().catch((error: unknown) =>
      this.#init.log.debug({ err: error }, "the sums were not kept"),
    );
  }

  async #load(): Promise<void> {
    const kept = await this.#file.load();
    // A stream that was put back, or made anew, is another one.
    if (kept && (await this.#isOfStream(kept))) {
      this.#at = kept;
      this.#savedSeq = kept.seq;
      this.#recent.forgetAll(kept.highest);
    } else this.#reset();
    this.#loaded = true;
  }

  #continues(messages: readonly Written[], firstSeq: number): boolean {
    if (firstSeq === this.#at.seq + 1) return true;
    if (!this.#init.isLog || firstSeq <= this.#at.seq) return false;
    // Between two of the sequencer's writes there may be what it did not write, and nothing else.
    const [first] = messages;
    const place = first && loggedPlace(first.subject, first.headerText);
    return place !== undefined && place.index === this.index + 1;
  }

  #wait(messages: readonly Written[], firstSeq: number): void {
    this.#waiting.push({ messages, firstSeq });
    this.#waitingCount += messages.length;
    if (this.#waitingCount <= MOST_WAITING) return;
    this.#waiting = [];
    this.#waitingCount = 0;
  }

  #take(messages: readonly Written[], firstSeq: number): void {
    for (const [i, { subject, headerText }] of messages.entries()) {
      const place = loggedPlace(subject, headerText);
      // A log that was cut goes on at an index that it had before.
      if (place && this.#init.isLog && place.index <= this.index) this.#mustRecount = true;
      this.#count(place, firstSeq + i);
    }
    this.#at = { ...this.#at, seq: firstSeq + messages.length - 1 };
  }

  #count(place: LoggedPlace | undefined, seq: number): void {
    if (!place) return;
    const { index, id, domain } = place;
    const hash = this.#hash.of(id, index);
    this.sums.add(domain, index, hash, seq);
    this.#recent.add(domain, index, hash);
    if (this.#init.isLog) this.#countLane(place, seq);
    this.#at = { ...this.#at, mark: { seq, index, id }, highest: Math.max(this.#at.highest, index) };
  }

  #countLane(place: LoggedPlace, seq: number): void {
    const origin = outboxOrigin(place);
    if (!origin) return;
    const hash = this.#hash.of(place.id, origin.seq);
    this.lanes.add(laneName(origin.node, origin.incarnation), origin.seq, hash, seq);
  }

  async #look(): Promise<void> {
    const { messages, log } = this.#init;
    const state = await messages.figures();
    if (this.#mustRecount || state.last_seq < this.#at.seq) this.#reset();
    const deleted = state.num_deleted ?? 0;
    const first = firstKept(state);
    if (this.#at.seq > 0 && (deleted > this.#at.deleted || first > this.#at.firstSeq)) {
      const before = this.#at;
      const went = await this.#recount(first, deleted > before.deleted);
      log.debug({ blocks: went }, "messages have gone: counted again");
    }
    // Only what stood at that time: a deletion that came since shows the next time.
    this.#at = { ...this.#at, firstSeq: first, deleted };
    if (this.#at.seq === 0) this.#at = { ...this.#at, seq: first - 1 };
    await this.#catchUp(state.last_seq);
  }

  async #catchUp(last: number): Promise<void> {
    for (let upTo = last; ; ) {
      const next = this.#waiting[0];
      if (next && next.firstSeq <= this.#at.seq + 1) {
        this.#waiting.shift();
        this.#waitingCount -= next.messages.length;
        if (next.firstSeq === this.#at.seq + 1) this.#take(next.messages, next.firstSeq);
        continue;
      }
      if (next) upTo = Math.max(upTo, next.firstSeq - 1);
      if (this.#at.seq >= upTo) return;
      const end = next ? next.firstSeq - 1 : upTo;
      await this.#readOn(end);
      this.#at = { ...this.#at, seq: Math.max(this.#at.seq, end) };
    }
  }

  async #readOn(upTo: number): Promise<void> {
    const span = { first: this.#at.seq + 1, last: upTo };
    for await (const part of this.#init.messages.read(span, "headers", [SUBJECT.allEvents])) {
      if (this.#ended) throw new Error("the ledger has ended");
      for (const { seq, subject, headerText } of part) {
        if (seq <= this.#at.seq) continue;
        const place = loggedPlace(subject, headerText);
        if (place && this.#isCut(place, subject)) {
          this.#mustRecount = true;
          return;
        }
        if (this.#belongs(place, seq)) this.#count(place, seq);
        this.#at = { ...this.#at, seq };
      }
    }
  }

  /** A reign that begins at an index that the log had: its end was cut off. */
  #isCut(place: LoggedPlace, subject: string): boolean {
    return this.#init.isLog && place.index <= this.index && REIGNS.has(subject);
  }

  /** In a log, what does not stand where a sequencer would have put it is foreign: indexes never grow faster than sequences. */
  #belongs(place: LoggedPlace | undefined, seq: number): boolean {
    const { mark } = this.#at;
    if (!place || !this.#init.isLog || !mark) return place !== undefined;
    return place.index > mark.index && place.index - mark.index <= seq - mark.seq;
  }

  /** Counts again the blocks of which something may have gone. Gives how many. */
  async #recount(firstSeq: number, isDeleted: boolean): Promise<number> {
    const deleted = isDeleted ? await this.#deleted() : [];
    this.sums.forgetBefore(firstSeq);
    this.lanes.forgetBefore(firstSeq);
    const touched: number[] = [];
    for (const block of this.sums.blocks()) {
      const span = this.sums.spanOf(block) as Span;
      const isTouched =
        !deleted || span.first < firstSeq || deleted.some((seq) => seq >= span.first && seq <= span.last);
      if (isTouched) touched.push(block);
    }
    for (const block of touched) {
      if (this.#ended) throw new Error("the ledger has ended");
      await this.#recountBlock(block, firstSeq);
    }
    return touched.length;
  }

  /** undefined: too many to say. */
  async #deleted(): Promise<readonly number[] | undefined> {
    const { deleted } = await this.#init.messages.figures(true);
    return deleted && deleted.length > MOST_DELETED ? undefined : (deleted ?? []);
  }

  async #recountBlock(block: number, firstSeq: number): Promise<void> {
    const span = this.sums.spanOf(block) as Span;
    const before = this.sums.total(block).count;
    const isPurged = span.first < firstSeq;
    const found: { readonly place: LoggedPlace; readonly seq: number }[] = [];
    for await (const part of this.#init.messages.read(span, "headers", [SUBJECT.allEvents])) {
      for (const { seq, subject, headerText } of part) {
        const place = loggedPlace(subject, headerText);
        if (place && blockOf(place.index) === block && seq <= this.#at.seq) found.push({ place, seq });
      }
    }
    this.sums.forget(block);
    for (const { place, seq } of found)
      this.sums.add(place.domain, place.index, this.#hash.of(place.id, place.index), seq);
    this.#recent.forgetAll(this.#at.highest);
    if (!isPurged && found.length < before) this.shrunk.add(block);
  }

  async #read(block: number, isIn: (index: number) => boolean, isWanted: IsWanted): Promise<Sum> {
    let sum: Sum = { count: 0, high: 0, low: 0 };
    const span = this.sums.spanOf(block, isWanted);
    if (!span) return sum;
    for await (const part of this.#init.messages.read(span, "headers", [SUBJECT.allEvents])) {
      for (const { seq, subject, headerText } of part) {
        const place = loggedPlace(subject, headerText);
        if (!place || seq > this.#at.seq || blockOf(place.index) !== block) continue;
        if (!isIn(place.index) || !isWanted(place.domain)) continue;
        const { high, low } = this.#hash.of(place.id, place.index);
        sum = plus(sum, { count: 1, high, low });
      }
    }
    return sum;
  }

  #reset(): void {
    this.sums.forgetAll();
    this.lanes.forgetAll();
    this.#recent.forgetAll(0);
    this.#mustRecount = false;
    this.#at = NOTHING_COUNTED;
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
    if (this.#at.seq === this.#savedSeq) return;
    const at = this.#at;
    await this.#file.save(at);
    this.#savedSeq = at.seq;
  }
}

function spansIn(sums: BlockSums, { from, to }: PlaceRange, isWanted: (group: string) => boolean): Span[] {
  const spans: Span[] = [];
  for (let block = blockOf(from); block <= blockOf(to); block++) {
    const span = sums.spanOf(block, isWanted);
    if (span) spans.push(span);
  }
  return joinedSpans(spans);
}
