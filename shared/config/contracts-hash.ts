import { createHash } from "node:crypto";
import type { Config } from "./derived.ts";

/** A short hash of how a node's domains are replicated: nodes with the same one agree, whatever else they follow. */
export function contractsHash({ mode, conflictResolution }: Config["sync"]): string {
  return createHash("sha256").update(JSON.stringify({ mode, conflictResolution })).digest("hex").slice(0, 16);
}
