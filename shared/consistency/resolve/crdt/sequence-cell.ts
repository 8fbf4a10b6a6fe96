import type * as Yjs from "yjs";
import { refOf } from "../version.ts";
import { type Cell, type Change, tell } from "./cell.ts";
import { Presence } from "./presence.ts";

export type SequenceLibrary = typeof Yjs;

/** Loaded only where a domain has a field that needs it. */
export const loadSequences = (): Promise<SequenceLibrary> => import("yjs");

/** What is in the document: text under `text`, a list under `list`. */
export type SequenceKind = "text" | "list";

export interface SequenceOperation {
  /** A Yjs update (its version 1), base64. */
  readonly update: string;
}

/** Text or an ordered list: a Yjs document, which merges what was written at the same time by itself. */
export class SequenceCell implements Cell {
  readonly #kind: SequenceKind;
  readonly #library: SequenceLibrary;
  #presence: Presence;
  /** As bytes while nobody asks: most states are read and written without a look at each field. */
  #stored: string | undefined;
  #document: Yjs.Doc | undefined;

  constructor(kind: SequenceKind, library: SequenceLibrary, json?: unknown) {
    this.#kind = kind;
    this.#library = library;
    const { u, p } = (json ?? {}) as { u?: string; p?: unknown };
    this.#stored = u;
    this.#presence = new Presence(p);
  }

  apply(operation: unknown, { event }: Change): void {
    const { update } = operation as SequenceOperation;
    this.#library.applyUpdate(this.#opened(), Buffer.from(update, "base64"));
    this.#stored = undefined;
    this.#presence.put(event);
  }

  /** Edits that the remover had not seen keep the document: they are edits of it. */
  remove(change: Change): void {
    this.#presence.takeSeen(change.event);
    if (!this.#presence.isGone) {
      tell(change, { kind: "merged", rule: "unseen edit wins over delete", loser: refOf(change.by) });
      return;
    }
    this.#document?.destroy();
    this.#document = undefined;
    this.#stored = undefined;
  }

  #opened(): Yjs.Doc {
    if (this.#document) return this.#document;
    this.#document = new this.#library.Doc();
    if (this.#stored !== undefined)
      this.#library.applyUpdate(this.#document, Buffer.from(this.#stored, "base64"));
    return this.#document;
  }

  isGone(): boolean {
    return this.#presence.isGone;
  }

  value(): unknown {
    if (this.#presence.isGone) return undefined;
    const document = this.#opened();
    return this.#kind === "text" ? document.getText("text").toString() : document.getArray("list").toJSON();
  }

  addSiblings(): void {}

  compact(_beforeMs: number, lanes: Set<string>): void {
    this.#presence.addLanes(lanes);
  }

  encode(): unknown {
    this.#stored ??= Buffer.from(this.#library.encodeStateAsUpdate(this.#opened())).toString("base64");
    return { u: this.#stored, p: this.#presence.encode() };
  }
}
