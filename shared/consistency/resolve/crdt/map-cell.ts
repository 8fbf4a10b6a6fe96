import { byKey, setOwn } from "../json-value.ts";
import type { Siblings } from "../resolver.ts";
import { isLater, type Version, type VersionTable } from "../version.ts";
import type { Cell, Change } from "./cell.ts";

type Read = (place: unknown) => Version;

/** What a map needs to know of what is in it. */
export interface MapEntries {
  /** An empty cell for a key, or one from its JSON. */
  readonly cell: (key: string, json?: unknown, version?: Read) => Cell;
  /**
   * Whether null is a value for it, as for a last-writer register: the latest write by stamp. For others it takes away what was seen.
   */
  readonly takesNull: (key: string) => boolean;
  /** Whether a delete has to be remembered for a key that is not there yet: it may get older writes. */
  readonly remembersDelete: (key: string) => boolean;
  /** The same of a delete of the whole map. */
  readonly keepsFloor: boolean;
}

/** Cells by key. A key is there as long as something shows in its cell. */
export class MapCell implements Cell {
  readonly #entries: MapEntries;
  readonly #cells = new Map<string, Cell>();
  /** The newest delete of the whole map. */
  floor: Version | undefined;

  constructor(entries: MapEntries, json?: unknown, version?: Read) {
    this.#entries = entries;
    if (json === undefined || !version) return;
    const { f, c } = json as { f?: number; c: [string, unknown][] };
    if (f !== undefined) this.floor = version(f);
    for (const [key, cell] of c) this.#cells.set(key, entries.cell(key, cell, version));
  }

  apply(operation: unknown, change: Change, above: Version | undefined): void {
    const floor = later(this.floor, above);
    const values = operation as Record<string, unknown>;
    for (const key in values) {
      change.path.push(key);
      const value = values[key];
      if (value === null && !this.#entries.takesNull(key)) this.#removeKey(key, change);
      else this.#cellOf(key).apply(value, change, floor);
      change.path.pop();
    }
  }

  #cellOf(key: string): Cell {
    let cell = this.#cells.get(key);
    if (!cell) {
      cell = this.#entries.cell(key);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  #removeKey(key: string, change: Change): void {
    const cell = this.#entries.remembersDelete(key) ? this.#cellOf(key) : this.#cells.get(key);
    if (!cell) return;
    cell.remove(change);
    if (cell.isGone()) this.#cells.delete(key);
  }

  remove(change: Change): void {
    if (this.#entries.keepsFloor) this.floor = later(this.floor, change.by);
    for (const [key, cell] of this.#cells) {
      change.path.push(key);
      cell.remove(change);
      if (cell.isGone()) this.#cells.delete(key);
      change.path.pop();
    }
  }

  isGone(): boolean {
    return this.floor === undefined && this.#cells.size === 0;
  }

  value(): unknown {
    let value: Record<string, unknown> | undefined;
    for (const [key, cell] of [...this.#cells].sort(byKey)) {
      const inner = cell.value();
      if (inner === undefined) continue;
      value ??= {};
      setOwn(value, key, inner);
    }
    return value;
  }

  addSiblings(path: readonly string[], siblings: Siblings[]): void {
    for (const [key, cell] of [...this.#cells].sort(byKey)) cell.addSiblings([...path, key], siblings);
  }

  compact(beforeMs: number, lanes: Set<string>, above: Version | undefined): void {
    const isOld = this.floor && this.floor.stamp.ms < beforeMs;
    if (isOld || (this.floor && above && !isLater(this.floor, above))) this.floor = undefined;
    if (this.floor) lanes.add(this.floor.dot.lane);
    for (const [key, cell] of this.#cells) {
      cell.compact(beforeMs, lanes, later(this.floor, above));
      if (cell.isGone()) this.#cells.delete(key);
    }
  }

  encode(table: VersionTable): { readonly f?: number; readonly c: readonly (readonly [string, unknown])[] } {
    const floor = this.floor && { f: table.placeOf(this.floor) };
    return {
      ...floor,
      c: [...this.#cells].sort(byKey).map(([key, cell]) => [key, cell.encode(table)] as const),
    };
  }
}

export function later(a: Version | undefined, b: Version | undefined): Version | undefined {
  if (!a || !b) return a ?? b;
  return isLater(a, b) ? a : b;
}
