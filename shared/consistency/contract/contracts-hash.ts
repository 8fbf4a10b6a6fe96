import { createHash } from "node:crypto";
import type { Contracts } from "./contract.ts";

/**
 * A short hash of all contracts: nodes with the same one agree on how every domain replicates. Of a module what it does
 * counts, not where it lies on a node.
 */
export function contractsHash({ usual, domains }: Contracts): string {
  const all = [usual, ...Object.values(domains)].map((contract) => ({
    ...contract,
    module: contract.module?.sha256 ?? null,
  }));
  return createHash("sha256").update(JSON.stringify(all)).digest("hex").slice(0, 16);
}
