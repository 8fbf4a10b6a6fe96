import { asDiscovered } from "./discovered-node.ts";
import type { Source, SourceInit } from "./source.ts";

/** The nodes that an operator wrote down. Changed by a reload, which makes a new one of these. */
export class StaticSource implements Source {
  readonly name = "static";
  readonly #init: SourceInit & StaticOptions;

  constructor(init: SourceInit & StaticOptions) {
    this.#init = init;
  }

  start(): void {
    const nodes = this.#init.staticNodes.map(asDiscovered);
    this.#init.onReport({ kind: "listing", nodes, leftOut: [] });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface StaticOptions {
  /** Checked with the configuration. */
  readonly staticNodes: readonly Parameters<typeof asDiscovered>[0][];
}
