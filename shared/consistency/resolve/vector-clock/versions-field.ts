import { MOST_LATE_MS } from "../../clock/stamp.ts";
import { type FoldEvent, saw } from "../fold-event.ts";
import { isRecord, sameJson } from "../json-value.ts";
import type { Note } from "../resolver.ts";
import { isLater, refOfWrite, type Version, type Write } from "../version.ts";

/** A place in an aggregate's value with every version of it that no later write has seen. */
export interface VersionsField {
  /** Scalars, arrays, and null: a delete. */
  writes: Write[];
  /** Who made it an object. */
  objects: Version[];
  children: Map<string, VersionsField> | undefined;
}

export const newVersionsField = (): VersionsField => ({ writes: [], objects: [], children: undefined });

export const isNothing = (field: VersionsField): boolean =>
  field.writes.length === 0 && field.objects.length === 0 && !field.children?.size;

/**
 * Whether a writer has seen a version. What is older than an event may come late counts as seen by all: so a delete need not
 * be remembered for ever to be told from a version that was never there.
 */
function hadSeen(event: FoldEvent, version: Version): boolean {
  return saw(event, version.dot) || version.ingestMs < event.ingestMs - MOST_LATE_MS;
}

/** One event on its way through the fields, in the log's order. */
export class VersionWriter {
  readonly #event: FoldEvent;
  readonly #by: Version;
  readonly #note: Note | undefined;
  readonly #merges: boolean;
  readonly #path: string[] = [];

  /** @param merges whether a policy makes one value of several */
  constructor(event: FoldEvent, by: Version, merges: boolean, note: Note | undefined) {
    this.#event = event;
    this.#by = by;
    this.#merges = merges;
    this.#note = note;
  }

  patch(field: VersionsField, patch: unknown): void {
    if (!isRecord(patch)) {
      this.replace(field, patch);
      return;
    }
    for (const write of this.#unseenWrites(field)) this.#siblings(write, patch);
    field.objects = this.#unseen(field.objects);
    field.objects.push(this.#by);
    field.children ??= new Map();
    for (const key in patch) {
      let child = field.children.get(key);
      if (!child) {
        child = newVersionsField();
        field.children.set(key, child);
      }
      this.#path.push(key);
      this.patch(child, patch[key]);
      this.#path.pop();
    }
  }

  /** Writes the value here, whatever it is, in the place of all that was seen. */
  replace(field: VersionsField, value: unknown): void {
    for (const write of this.#unseenWrites(field)) this.#siblings(write, value);
    field.writes.push({ by: this.#by, value });
    field.objects = this.#unseen(field.objects);
    this.#takeSeen(field, value);
  }

  #unseenWrites(field: VersionsField): readonly Write[] {
    if (field.writes.length > 0) field.writes = field.writes.filter(({ by }) => !hadSeen(this.#event, by));
    return [...field.writes];
  }

  #unseen(versions: Version[]): Version[] {
    return versions.filter((version) => !hadSeen(this.#event, version));
  }

  /** Takes away what the writer had seen below here; the rest stays beside what it wrote. */
  #takeSeen(field: VersionsField, value: unknown): void {
    if (!field.children) return;
    for (const [key, child] of field.children) {
      this.#path.push(key);
      for (const write of this.#unseenWrites(child)) if (write.value !== null) this.#siblings(write, value);
      child.objects = this.#unseen(child.objects);
      this.#takeSeen(child, value);
      if (isNothing(child)) field.children.delete(key);
      this.#path.pop();
    }
    if (field.children.size === 0) field.children = undefined;
  }

  #siblings(other: Write, value: unknown): void {
    if (!this.#note || sameJson(other.value, value)) return;
    const own = { by: this.#by, value };
    const [winner, loser] = isLater(this.#by, other.by) ? [own, other] : [other, own];
    this.#note({
      path: [...this.#path],
      kind: this.#merges ? "merged" : "siblings",
      rule: this.#merges ? "policy" : "concurrent",
      winner: refOfWrite(winner),
      loser: refOfWrite(loser),
      certain: !this.#event.clockless,
    });
  }
}
