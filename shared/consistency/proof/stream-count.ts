import { BlockSums } from "./block-sums.ts";
import type { LoggedPlace } from "./logged-place.ts";
import { PlaceHash } from "./place-hash.ts";
import { PlaceReader } from "./place-reader.ts";
import { RecentHashes } from "./recent-hashes.ts";

/** The last message that was counted: in a stream that was put back, another one has its sequence. */
export interface CountMark {
  readonly seq: number;
  readonly index: number;
  readonly id: string;
}

/** A message as it was written or is stored. */
export interface Countable {
  readonly subject: string;
  readonly headerText: string;
}

/** What the messages of a log or a copy come to, counted one by one. */
export class StreamCount {
  readonly sums = new BlockSums();
  /** Of a log: by origin and incarnation, places are the outbox's sequences, spans the log's stream. */
  readonly lanes = new BlockSums();
  readonly recent = new RecentHashes();
  readonly #isLog: boolean;
  readonly #reader = new PlaceReader();
  readonly #hash = new PlaceHash();
  /** The highest index that was counted: in a copy, what was filled in came later and stands lower. */
  highest = 0;
  mark: CountMark | null = null;

  constructor(isLog: boolean) {
    this.#isLog = isLog;
  }

  /** The index that was counted last. */
  get index(): number {
    return this.mark?.index ?? 0;
  }

  /**
   * Counts what was written as one, the first of it at a sequence. False: an index came that is not behind all before it,
   * which in a log says that its end was cut off.
   */
  takeAll(messages: readonly Countable[], firstSeq: number): boolean {
    let grows = true;
    let index = this.index;
    let markSeq = 0;
    for (let i = 0; i < messages.length; i++) {
      const { subject, headerText } = messages[i] as Countable;
      if (!this.#reader.read(subject, headerText)) continue;
      markSeq = firstSeq + i;
      if (this.#reader.index <= index) grows = false;
      index = this.#reader.index;
      this.#countRead(markSeq);
    }
    if (markSeq > 0) this.mark = { seq: markSeq, index, id: this.#reader.id };
    return grows;
  }

  /** Counts a message that was read from the stream. */
  take(message: Countable, seq: number): void {
    this.takeAll([message], seq);
  }

  /** Puts what was found in a block in the place of what was counted there. */
  replace(block: number, found: readonly { readonly place: LoggedPlace; readonly seq: number }[]): void {
    this.sums.forget(block);
    for (const { place, seq } of found)
      this.sums.add(place.domain, place.index, this.#hash.of(place.id, place.index), seq);
    this.recent.forgetAll(this.highest);
  }

  /** As it was kept. The sums are restored beside this. */
  restore(mark: CountMark | null, highest: number): void {
    this.mark = mark;
    this.highest = highest;
    this.recent.forgetAll(highest);
  }

  reset(): void {
    this.sums.forgetAll();
    this.lanes.forgetAll();
    this.restore(null, 0);
  }

  #countRead(seq: number): void {
    const { index, domain, lane, seq: place, hash } = this.#reader;
    if (index > this.highest) this.highest = index;
    hash.at(index);
    this.sums.add(domain, index, hash, seq);
    this.recent.add(domain, index, hash);
    if (this.#isLog && lane !== "") this.lanes.add(lane, place, hash.at(place), seq);
  }
}
