import { type LinkChange, REPLACED } from "./link-table.ts";

/** So often within the window is no accident: a link that broke unnoticed is replaced once. */
const REPLACEMENTS = 3;
const WINDOW_MS = 10_000;

/**
 * Finds names that two nodes use at the same time, on the hub they both link to. A server lets one link of a name in
 * and throws the other out, so twins replace each other at every try, for ever, and neither gets anything done.
 */
export class ContestedNames {
  readonly #replacedAtMs = new Map<string, number[]>();

  /** To be told every change of `LinkWatch`. */
  observe(change: LinkChange): void {
    if (change.kind !== "down" || change.reason !== REPLACED) return;
    const { name } = change.link;
    const times = [...(this.#replacedAtMs.get(name) ?? []), change.atMs];
    this.#replacedAtMs.set(name, times.slice(-REPLACEMENTS));
  }

  /** Names in contest at that moment, in ms since the epoch. */
  names(nowMs: number): string[] {
    for (const [name, times] of this.#replacedAtMs) {
      if (nowMs - (times.at(-1) ?? 0) > WINDOW_MS) this.#replacedAtMs.delete(name);
    }
    return [...this.#replacedAtMs]
      .filter(([, times]) => times.length >= REPLACEMENTS && nowMs - (times[0] ?? 0) <= WINDOW_MS)
      .map(([name]) => name);
  }
}
