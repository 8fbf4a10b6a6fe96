import { type FoldEvent, saw } from "../fold-event.ts";
import { isRecord, sameJson } from "../json-value.ts";
import type { Conflict, Note } from "../resolver.ts";
import { isLater, refOf, refOfWrite, ruleOf, type Version, type Write } from "../version.ts";

/**
 * A place in an aggregate's value, as merge patches of any order and number have left it: what applying them by stamp
 * (RFC 7396) would have. Only what can still matter is kept, and is the same in whatever order they came.
 */
export interface Field {
  /**
   * The newest write that replaced all that was here: by a scalar, an array, or null. Where `object` is set it is older than
   * that, and its value gone: it still keeps out what is older than itself.
   */
  over: Write | undefined;
  /** The newest patch with an object here, if nothing newer replaced it. */
  object: Version | undefined;
  /** Each newer than `over`. */
  children: Map<string, Field> | undefined;
}

export const newField = (): Field => ({ over: undefined, object: undefined, children: undefined });

/** One event on its way through the fields. */
export class PatchWriter {
  readonly #event: FoldEvent;
  readonly #by: Version;
  readonly #note: Note | undefined;
  readonly #path: string[] = [];

  constructor(event: FoldEvent, by: Version, note: Note | undefined) {
    this.#event = event;
    this.#by = by;
    this.#note = note;
  }

  patch(field: Field, patch: unknown): void {
    if (isRecord(patch)) this.#merge(field, patch);
    else this.replace(field, patch);
  }

  #merge(field: Field, patch: Record<string, unknown>): void {
    const { over } = field;
    if (over && isLater(over.by, this.#by)) {
      this.#lost(over, patch);
      return;
    }
    if (!field.object || isLater(this.#by, field.object)) {
      if (over && !field.object) this.#replaced(over, patch);
      field.object = this.#by;
    }
    // Behind an object only its time counts.
    if (over && over.value !== null) field.over = { by: over.by, value: null };
    field.children ??= new Map();
    for (const key in patch) {
      let child = field.children.get(key);
      if (!child) {
        child = newField();
        field.children.set(key, child);
      }
      this.#path.push(key);
      this.patch(child, patch[key]);
      this.#path.pop();
    }
  }

  /** Sets the value here, whatever it is, in the place of all that was. */
  replace(field: Field, value: unknown): void {
    const { over, object } = field;
    if (over && !isLater(this.#by, over.by)) {
      // If it is not the very same event, given again.
      if (isLater(over.by, this.#by)) this.#lost(over, value);
      return;
    }
    if (object && isLater(object, this.#by)) {
      this.#lost({ by: object, value: undefined }, value);
      field.over = { by: this.#by, value: null };
    } else {
      if (over && !object) this.#replaced(over, value);
      field.over = { by: this.#by, value };
      field.object = undefined;
    }
    this.#drop(field, value === null ? "removed" : "lost");
    if (!field.object) field.children = undefined;
  }

  /** Takes out of what lies below all that is older. */
  #drop({ children }: Field, kind: Conflict["kind"]): void {
    if (!children) return;
    for (const [key, child] of children) {
      this.#path.push(key);
      const { over, object } = child;
      if (over && isLater(this.#by, over.by)) {
        if (!object && over.value !== null) this.#told(over, undefined, kind);
        child.over = undefined;
      }
      if (object && isLater(this.#by, object)) child.object = undefined;
      this.#drop(child, kind);
      if (!child.object) child.children = undefined;
      if (!child.over && !child.object) children.delete(key);
      this.#path.pop();
    }
  }

  /** The event is the later one. */
  #replaced(before: Write, value: unknown): void {
    if (!sameJson(before.value, value)) this.#told(before, value, value === null ? "removed" : "lost");
  }

  #told(before: Write, value: unknown, kind: Conflict["kind"]): void {
    if (!this.#note || saw(this.#event, before.by.dot)) return;
    this.#note({
      path: [...this.#path],
      kind,
      rule: ruleOf(this.#by, before.by),
      winner: value === undefined ? refOf(this.#by) : refOfWrite({ by: this.#by, value }),
      loser: refOfWrite(before),
      certain: !this.#event.clockless,
    });
  }

  /** The event is the earlier one, though it came later: nobody can have seen it. */
  #lost(winner: Write, value: unknown): void {
    if (!this.#note || sameJson(winner.value, value)) return;
    this.#note({
      path: [...this.#path],
      kind: "lost",
      rule: ruleOf(winner.by, this.#by),
      winner: winner.value === undefined ? refOf(winner.by) : refOfWrite(winner),
      loser: refOfWrite({ by: this.#by, value }),
      certain: true,
    });
  }
}
