import { saw } from "../fold-event.ts";
import { sameJson } from "../json-value.ts";
import type { Siblings } from "../resolver.ts";
import {
  isLater,
  newestFirst,
  refOf,
  refOfWrite,
  ruleOf,
  type Version,
  type VersionTable,
  type Write,
} from "../version.ts";
import { type Cell, type Change, tell } from "./cell.ts";

type Read = (place: unknown) => Version;
type WriteJson = readonly [number, unknown];

/** The latest write by stamp, whatever it is; null takes the value away. */
export class RegisterCell implements Cell {
  #write: Write | undefined;

  constructor(json?: unknown, version?: Read) {
    if (json == null || !version) return;
    const [place, value] = json as WriteJson;
    this.#write = { by: version(place), value };
  }

  apply(value: unknown, change: Change, floor: Version | undefined): void {
    const { by } = change;
    const own = { by, value };
    const before = this.#write;
    if (floor && isLater(floor, by)) {
      if (value === null) return;
      const rule = ruleOf(floor, by);
      tell(change, { kind: "removed", rule, winner: refOf(floor), loser: refOfWrite(own), certain: true });
    } else if (before && isLater(before.by, by)) {
      this.#tellLost(change, before, own, true);
    } else {
      if (before && !saw(change.event, before.by.dot))
        this.#tellLost(change, own, before, !change.event.clockless);
      this.#write = own;
    }
  }

  remove(change: Change): void {
    const before = this.#write;
    if (!before || isLater(before.by, change.by)) return;
    this.#write = undefined;
    if (before.value === null || saw(change.event, before.by.dot)) return;
    const rule = ruleOf(change.by, before.by);
    tell(change, { kind: "removed", rule, winner: refOf(change.by), loser: refOfWrite(before) });
  }

  #tellLost(change: Change, winner: Write, loser: Write, certain: boolean): void {
    if (sameJson(winner.value, loser.value)) return;
    tell(change, {
      kind: "lost",
      rule: ruleOf(winner.by, loser.by),
      winner: refOfWrite(winner),
      loser: refOfWrite(loser),
      certain,
    });
  }

  isGone(): boolean {
    return this.#write === undefined;
  }

  value(): unknown {
    return this.#write?.value ?? undefined;
  }

  addSiblings(): void {}

  compact(beforeMs: number, lanes: Set<string>): void {
    const write = this.#write;
    if (write?.value === null && write.by.stamp.ms < beforeMs) this.#write = undefined;
    if (this.#write) lanes.add(this.#write.by.dot.lane);
  }

  encode(table: VersionTable): unknown {
    return this.#write ? [table.placeOf(this.#write.by), this.#write.value] : null;
  }
}

/** Every write that no later one has seen. */
export class MultiValueCell implements Cell {
  #writes: Write[] = [];

  constructor(json?: unknown, version?: Read) {
    if (json === undefined || !version) return;
    this.#writes = (json as WriteJson[]).map(([place, value]) => ({ by: version(place), value }));
  }

  apply(value: unknown, change: Change): void {
    this.#takeSeen(change);
    const own = { by: change.by, value };
    for (const write of this.#writes) {
      if (sameJson(write.value, value)) continue;
      const [winner, loser] = isLater(own.by, write.by) ? [own, write] : [write, own];
      const [won, lost] = [refOfWrite(winner), refOfWrite(loser)];
      tell(change, { kind: "siblings", rule: "concurrent", winner: won, loser: lost });
    }
    this.#writes.push(own);
  }

  remove(change: Change): void {
    this.#takeSeen(change);
    for (const write of this.#writes)
      tell(change, {
        kind: "merged",
        rule: "unseen write wins over delete",
        winner: refOfWrite(write),
        loser: refOf(change.by),
      });
  }

  #takeSeen({ event }: Change): void {
    this.#writes = this.#writes.filter(({ by }) => !saw(event, by.dot));
  }

  isGone(): boolean {
    return this.#writes.length === 0;
  }

  value(): unknown {
    return [...this.#writes].sort(newestFirst)[0]?.value;
  }

  addSiblings(path: readonly string[], siblings: Siblings[]): void {
    const versions = [...this.#writes].sort(newestFirst).map(refOfWrite);
    if (versions.some(({ value }) => !sameJson(value, versions[0]?.value)))
      siblings.push({ path: [...path], versions });
  }

  compact(_beforeMs: number, lanes: Set<string>): void {
    for (const { by } of this.#writes) lanes.add(by.dot.lane);
  }

  encode(table: VersionTable): unknown {
    return this.#writes.map(({ by, value }) => [table.placeOf(by), value]);
  }
}
