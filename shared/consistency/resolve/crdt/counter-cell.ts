import { refOf } from "../version.ts";
import { type Cell, type Change, tell } from "./cell.ts";
import { Presence } from "./presence.ts";

/** A sum of whole numbers. Exact, however large: rounded sums would depend on their order. */
export class CounterCell implements Cell {
  #total: number | bigint = 0;
  #presence: Presence;

  constructor(json?: unknown) {
    const { n, p } = (json ?? { n: 0 }) as { n: number | string; p?: unknown };
    this.#total = typeof n === "string" ? BigInt(n) : n;
    this.#presence = new Presence(p);
  }

  apply(operation: unknown, { event }: Change): void {
    this.#total = sum(this.#total, operation as number);
    this.#presence.put(event);
  }

  /** Counts that the remover had not seen keep the counter, as it is: parts of a sum can't be told from each other. */
  remove(change: Change): void {
    this.#presence.takeSeen(change.event);
    if (this.#presence.isGone) this.#total = 0;
    else tell(change, { kind: "merged", rule: "unseen count wins over delete", loser: refOf(change.by) });
  }

  isGone(): boolean {
    return this.#presence.isGone;
  }

  value(): unknown {
    return this.#presence.isGone ? undefined : Number(this.#total);
  }

  addSiblings(): void {}

  compact(_beforeMs: number, lanes: Set<string>): void {
    this.#presence.addLanes(lanes);
  }

  encode(): unknown {
    const n = typeof this.#total === "bigint" ? String(this.#total) : this.#total;
    return { n, p: this.#presence.encode() };
  }
}

function sum(a: number | bigint, b: number): number | bigint {
  if (typeof a === "number" && Number.isSafeInteger(a + b)) return a + b;
  const exact = BigInt(a) + BigInt(b);
  const rounded = Number(exact);
  return Number.isSafeInteger(rounded) ? rounded : exact;
}
