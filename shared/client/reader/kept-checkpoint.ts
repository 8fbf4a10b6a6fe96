import { type NatsConnection, nuid } from "@nats-io/transport-node";
import { decodeCheckpoint } from "./checkpoint.ts";
import { ReaderDiffers, ReaderTaken } from "./reader-errors.ts";
import { filterWords } from "./reader-record.ts";
import { readRecord, replaceRecord } from "./record-store.ts";
import type { ReadFilter } from "./subscribe-options.ts";
import { untilStored } from "./until-stored.ts";

export interface KeptCheckpointInit {
  readonly nc: NatsConnection;
  readonly node: string;
  /** As it is called in errors. */
  readonly name: string;
  readonly subject: string;
  readonly filter: ReadFilter;
  /** Which member of a group it is for; left out: a process of its own. */
  readonly member?: string;
}

export interface Claimed {
  /** undefined: at the beginning of all there is. */
  readonly checkpoint: string | undefined;
  /** Which events were read under the name before; undefined: it is new. */
  readonly filter: ReadFilter | undefined;
  /** Higher with each claim of the name: the sequence of its record. */
  readonly fence: number;
}

/**
 * A durable name's checkpoint while this process has the name. Every write expects the one before it, so whoever claims the
 * name ends the writes of the one that had it, also of one that was paused. Goes forward only.
 */
export class KeptCheckpoint {
  readonly #init: KeptCheckpointInit;
  readonly #owner: string;
  #seq = 0;
  #saved = 0;
  #stored: string | undefined;
  #next: { readonly upTo: number; readonly checkpoint: () => string } | undefined;
  #writing: Promise<void> | undefined;
  /** Since somebody else has the name. */
  taken: ReaderTaken | undefined;

  constructor(init: KeptCheckpointInit) {
    this.#init = init;
    this.#owner = init.member === undefined ? nuid.next() : `${init.member}/${nuid.next()}`;
  }

  /** The number of the last event that is saved. */
  get saved(): number {
    return this.#saved;
  }

  /**
   * Takes the name over, or makes it.
   *
   * @param begin the checkpoint of a new name
   * @param mayTake whether it may be taken from this owner ("": nobody has it)
   * @returns undefined: it may not
   * @throws {StoreUnavailable} {ReaderDiffers}
   * @throws {CheckpointInvalid} what is kept is of a newer build; nothing was taken
   */
  async claim(
    begin: () => Promise<string>,
    mayTake: (owner: string) => boolean = () => true,
  ): Promise<Claimed | undefined> {
    const { nc, node, name, subject } = this.#init;
    const claimed = await untilStored<Claimed | "held">(nc, node, `opening ${name}`, async () => {
      const found = await readRecord(nc, subject);
      const before = found?.record;
      if (found && before?.kind !== "reader" && before?.kind !== "removed")
        throw new ReaderDiffers(
          `durable: ${name} is read by a group, or by a newer build; take another name`,
        );
      const known = before?.kind === "reader" ? before : undefined;
      if (known && !mayTake(known.owner)) return "held";
      // One of a newer build is refused before the name is taken from who can read it.
      if (known?.checkpoint !== undefined) decodeCheckpoint(known.checkpoint);
      const checkpoint = known ? known.checkpoint : await begin();
      const seq = await this.#put(this.#owner, checkpoint, found?.seq ?? 0);
      if (seq === undefined) return undefined;
      this.#seq = seq;
      this.#stored = checkpoint;
      return { checkpoint, filter: known?.filter, fence: seq };
    });
    return claimed === "held" ? undefined : claimed;
  }

  /** Gives the name back, with what is saved; from then on nothing can be. */
  async release(): Promise<void> {
    // Who waits for a write may begin the next one.
    while (this.#writing !== undefined) await this.#writing.catch(() => undefined);
    if (this.taken) return;
    this.taken = new ReaderTaken(
      `${this.#init.name} on ${this.#init.node} was given to another process: what was not saved is handled there again`,
    );
    await this.#put("", this.#stored, this.#seq);
  }

  /**
   * Keeps a checkpoint that is behind the event of this number, counted from 1 since the claim. Calls that overlap are one
   * write, of the furthest. Resolves when it is synced.
   *
   * @throws {ReaderTaken} {StoreUnavailable}
   */
  async save(upTo: number, checkpoint: () => string): Promise<void> {
    if (this.taken && upTo > this.#saved) throw this.taken;
    if (upTo > Math.max(this.#saved, this.#next?.upTo ?? 0)) this.#next = { upTo, checkpoint };
    while (this.#saved < upTo) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  /** Keeps how far reading came behind a saved event where nothing matched. Only when all up to that event is saved. */
  async progress(upTo: number, checkpoint: () => string): Promise<void> {
    if (upTo !== this.#saved || this.#writing || (this.#next && this.#next.upTo > upTo)) return;
    const text = checkpoint();
    if (text === this.#stored) return;
    this.#next = { upTo, checkpoint: () => text };
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { nc, node, name, subject } = this.#init;
    const next = this.#next;
    if (!next) return;
    this.#next = undefined;
    const checkpoint = next.checkpoint();
    try {
      await untilStored(nc, node, `saving the checkpoint of ${name}`, async () => {
        if (this.taken) throw this.taken;
        const seq = await this.#put(this.#owner, checkpoint, this.#seq);
        if (seq !== undefined) {
          this.#seq = seq;
          return true;
        }
        const found = await readRecord(nc, subject);
        const isMine = found?.record?.kind === "reader" && found.record.owner === this.#owner;
        if (found && !isMine) {
          this.taken = new ReaderTaken(
            `${name} on ${node} is read by another process since, or was removed: what this one handled behind its last save is handled there again`,
          );
          throw this.taken;
        }
        // An answer that was lost, or a store that was put back: the next try expects what is there.
        this.#seq = found?.seq ?? 0;
        return isMine && found?.record?.kind === "reader" && found.record.checkpoint === checkpoint
          ? true
          : undefined;
      });
    } catch (error) {
      // To be tried again by the next save.
      this.#next ??= next;
      throw error;
    }
    this.#stored = checkpoint;
    this.#saved = Math.max(this.#saved, next.upTo);
  }

  #put(owner: string, checkpoint: string | undefined, expected: number): Promise<number | undefined> {
    const { nc, subject, filter } = this.#init;
    const record = {
      kind: "reader" as const,
      owner,
      ...(checkpoint !== undefined && { checkpoint }),
      filter,
    };
    return replaceRecord(nc, subject, record, expected);
  }
}

/** What to tell when a name reads other events than it did; undefined: the same. */
export function filterNotice(name: string, before: ReadFilter, now: ReadFilter): string | undefined {
  const [was, is] = [filterWords(before), filterWords(now)];
  if (was === is) return undefined;
  return `${name} read ${was} until now, and ${is} from here on: earlier events that it did not read do not come`;
}
