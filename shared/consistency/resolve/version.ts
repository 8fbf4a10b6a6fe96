import { compareStamps, type Stamp } from "../clock/stamp.ts";
import type { Dot, VersionVector } from "../clock/version-vector.ts";
import type { FoldEvent } from "./fold-event.ts";
import type { VersionRef } from "./resolver.ts";

/** What a state keeps of an event that wrote something: one object for all that it wrote. */
export interface Version {
  readonly id: string;
  readonly dot: Dot;
  readonly stamp: Stamp;
  readonly ingestMs: number;
}

export interface Write {
  readonly by: Version;
  readonly value: unknown;
}

export const versionOf = ({ id, dot, stamp, ingestMs }: FoldEvent): Version => ({ id, dot, stamp, ingestMs });

export const refOf = ({ id, dot, stamp }: Version): VersionRef => ({ id, dot, stamp });

export const refOfWrite = ({ by, value }: Write): VersionRef & { readonly value: unknown } => ({
  ...refOf(by),
  value,
});

export const isLater = (a: Version, b: Version): boolean => compareStamps(a.stamp, b.stamp) > 0;

export const newestFirst = (a: Write, b: Write): number => compareStamps(b.by.stamp, a.by.stamp);

/** Why one of two versions was taken for the later one. */
export function ruleOf({ stamp: a }: Version, { stamp: b }: Version): string {
  if (a.ms !== b.ms || a.order !== b.order) return "later clock";
  return a.lane === b.lane ? "later in its outbox" : "tie: origin";
}

/** In a state's JSON each version stands once, in a table, and is named by its place there. */
export class VersionTable {
  readonly #places = new Map<Version, number>();
  readonly #rows: unknown[] = [];

  placeOf(version: Version): number {
    let place = this.#places.get(version);
    if (place === undefined) {
      place = this.#rows.length;
      this.#places.set(version, place);
      const { id, stamp, ingestMs } = version;
      this.#rows.push([id, stamp.lane, stamp.seq, stamp.ms, stamp.order, ingestMs]);
    }
    return place;
  }

  get rows(): readonly unknown[] {
    return this.#rows;
  }
}

/** @throws TypeError when it is no table */
export function readVersions(json: unknown): (place: unknown) => Version {
  if (!Array.isArray(json)) throw new TypeError("no state: its versions are no list");
  const versions = json.map((row): Version => {
    if (!Array.isArray(row) || row.length !== 6) throw new TypeError("no state: a version of it is none");
    const [id, lane, seq, ms, order, ingestMs] = row as [string, string, number, number, number, number];
    const stamp = { ms, order, lane, seq };
    return { id, dot: { lane, seq }, stamp, ingestMs };
  });
  return (place) => {
    const version = typeof place === "number" ? versions[place] : undefined;
    if (!version) throw new TypeError("no state: it names a version that it does not have");
    return version;
  };
}

/** Of a vector the lanes that something in the state is still of: no event to come can ask for the others. */
export function onlyLanes(seen: VersionVector, lanes: ReadonlySet<string>): Map<string, number> {
  return new Map([...seen].filter(([lane]) => lanes.has(lane)));
}
