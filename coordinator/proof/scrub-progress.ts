/** How far the reading of all that is stored has come. */
export interface ScrubView {
  /** ISO 8601; null: none has begun since this start. */
  readonly since: string | null;
  /** Of the pass under way, 0 to 1, of the copy or outbox that is furthest behind; null: none is under way. */
  readonly done: number | null;
  /** Copies and outboxes of that pass, or of the last. */
  readonly parts: number;
  /** The last complete pass, and how many of its copies and outboxes could be read to their end. */
  readonly last: { readonly finished: string; readonly parts: number; readonly read: number } | null;
}

export interface ScrubPass {
  /** Another copy or outbox; what is given takes its share that is done. */
  part(): (share: number) => void;
  ended(isRead: boolean): void;
  finish(nowMs: number): void;
}

export class ScrubProgress {
  #view: ScrubView = { since: null, done: null, parts: 0, last: null };

  get view(): ScrubView {
    return this.#view;
  }

  begin(parts: number, nowMs: number): ScrubPass {
    const shares: number[] = [];
    let read = 0;
    const told = () => {
      const least = shares.length < parts ? 0 : Math.min(...shares);
      this.#view = { ...this.#view, done: least };
    };
    this.#view = { ...this.#view, since: new Date(nowMs).toISOString(), done: 0, parts };
    return {
      part: () => {
        const at = shares.push(0) - 1;
        return (share) => {
          shares[at] = share;
          told();
        };
      },
      ended: (isRead) => {
        if (isRead) read += 1;
      },
      finish: (endMs) => {
        const last = { finished: new Date(endMs).toISOString(), parts, read };
        this.#view = { ...this.#view, done: null, last };
      },
    };
  }
}
