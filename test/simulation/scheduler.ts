interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly what: () => void;
}

/** Virtual time: what is due runs in order of its time, and of its entry when that is the same. */
export class Scheduler {
  readonly #heap: Due[] = [];
  #order = 0;
  nowMs = 0;
  steps = 0;

  after(delayMs: number, what: () => void): void {
    const due = { atMs: this.nowMs + delayMs, order: this.#order++, what };
    let at = this.#heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(due, this.#heap[parent] as Due)) break;
      this.#heap[at] = this.#heap[parent] as Due;
      at = parent;
    }
    this.#heap[at] = due;
  }

  /** Runs all that is due up to a time. */
  runUntil(untilMs: number): void {
    for (let next = this.#heap[0]; next && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      this.nowMs = next.atMs;
      this.steps += 1;
      next.what();
    }
    this.nowMs = untilMs;
  }

  #pop(): void {
    const last = this.#heap.pop() as Due;
    if (this.#heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      const right = this.#heap[child + 1];
      if (right && before(right, this.#heap[child] as Due)) child += 1;
      const smaller = this.#heap[child];
      if (!smaller || !before(smaller, last)) break;
      this.#heap[at] = smaller;
      at = child;
    }
    this.#heap[at] = last;
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
