import { byKey, canonicalJson } from "../json-value.ts";
import { refOf } from "../version.ts";
import { type Cell, type Change, tell } from "./cell.ts";
import { Presence } from "./presence.ts";

interface Element {
  readonly value: unknown;
  readonly presence: Presence;
}

/** What an event does to a set. What it both removes and adds is in. */
export interface SetOperation {
  readonly add?: readonly unknown[];
  readonly remove?: readonly unknown[];
}

/** A set in which an element that was added stays until a delete that has seen it: add wins. */
export class SetCell implements Cell {
  readonly #elements = new Map<string, Element>();

  constructor(json?: unknown) {
    for (const [value, presence] of (json ?? []) as [unknown, unknown][])
      this.#elements.set(canonicalJson(value), { value, presence: new Presence(presence) });
  }

  apply(operation: unknown, change: Change): void {
    const { add = [], remove = [] } = operation as SetOperation;
    for (const value of remove) this.#take(canonicalJson(value), change);
    for (const value of add) {
      const key = canonicalJson(value);
      let element = this.#elements.get(key);
      if (!element) {
        element = { value, presence: new Presence() };
        this.#elements.set(key, element);
      }
      element.presence.put(change.event);
    }
  }

  remove(change: Change): void {
    for (const key of [...this.#elements.keys()]) this.#take(key, change);
  }

  #take(key: string, change: Change): void {
    const element = this.#elements.get(key);
    if (!element) return;
    element.presence.takeSeen(change.event);
    if (element.presence.isGone) {
      this.#elements.delete(key);
      return;
    }
    const loser = { ...refOf(change.by), value: element.value };
    tell(change, { kind: "merged", rule: "unseen add wins over delete", loser });
  }

  isGone(): boolean {
    return this.#elements.size === 0;
  }

  /** In the order of the elements' JSON: sets have none of their own. */
  value(): unknown {
    if (this.#elements.size === 0) return undefined;
    return [...this.#elements].sort(byKey).map(([, { value }]) => value);
  }

  addSiblings(): void {}

  compact(_beforeMs: number, lanes: Set<string>): void {
    for (const { presence } of this.#elements.values()) presence.addLanes(lanes);
  }

  encode(): unknown {
    return [...this.#elements].sort(byKey).map(([, { value, presence }]) => [value, presence.encode()]);
  }
}
