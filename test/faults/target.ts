import type { Fault, FaultKind } from "./fault.ts";

/** A node that is written to, read and broken. */
export interface FaultNode {
  readonly name: string;
  readonly role: "hub" | "leaf";
  /** What a client without credentials may use. */
  readonly natsUrl: string;
}

/** A fleet that can be broken: a lab, or one's own by commands. */
export interface FaultTarget {
  /** The hub first. */
  readonly nodes: readonly FaultNode[];
  /** Kinds that can't be done here, and why: they are passed over by name. */
  readonly cannot: ReadonlyMap<FaultKind, string>;
  /** Returns when it holds. */
  begin(fault: Fault): Promise<void>;
  /** Returns when it is mended: what was ended runs again. */
  end(fault: Fault): Promise<void>;
  /** What went wrong by itself since it was last asked, one line each: a process that ended without being told to. */
  troubles(): string[];
}
