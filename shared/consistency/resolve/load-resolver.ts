import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { errorText } from "../../protocol/error-text.ts";
import type { DomainContract } from "../contract/contract.ts";
import { crdt } from "./crdt/crdt.ts";
import { loadSequences } from "./crdt/sequence-cell.ts";
import { needsSequences } from "./crdt/typed-cells.ts";
import { lastWriteWins } from "./last-write-wins/last-write-wins.ts";
import { ownReducer, type Reduce } from "./own-reducer.ts";
import type { Resolver } from "./resolver.ts";
import { vectorClock } from "./vector-clock/vector-clock.ts";
import type { MergePolicy } from "./vector-clock/versions-forms.ts";

/** What a contract's `module` may export: one of them. */
export interface DomainModule {
  /** The domain's own meaning of its events, in the log's order. */
  readonly reduce?: Reduce;
  /** Of `vector-clock`: makes one value of several that were written concurrently. */
  readonly merge?: MergePolicy;
  /** A resolver of its own. `check-contracts` says whether it is one. */
  readonly resolver?: Resolver<unknown>;
}

/** A contract's own code can't be used. The message is one line. */
export class DomainModuleError extends Error {
  override readonly name = "DomainModuleError";
}

/**
 * What folds a domain's events. Loads what the contract needs and no more: its module, and the library for text and lists.
 * @throws DomainModuleError
 */
export async function loadResolver(
  contract: Pick<DomainContract, "domain" | "resolver" | "granularity" | "fields" | "module">,
): Promise<Resolver<unknown>> {
  const { resolver, granularity, fields } = contract;
  const { reduce, merge, resolver: own } = contract.module ? await loadModule(contract.module, contract) : {};
  if (own) return own;
  if (reduce) return ownReducer(resolver, reduce) as Resolver<unknown>;
  switch (resolver) {
    case "last-write-wins":
      return lastWriteWins(granularity) as Resolver<unknown>;
    case "vector-clock":
      return vectorClock(granularity, merge) as Resolver<unknown>;
    case "crdt": {
      const sequences = Object.values(fields).some(needsSequences) ? await loadSequences() : undefined;
      return crdt(fields, sequences) as Resolver<unknown>;
    }
  }
}

const METHODS = ["empty", "apply", "view", "seen", "compact", "encode", "decode"] as const;

async function loadModule(
  { path, sha256 }: NonNullable<DomainContract["module"]>,
  { domain, resolver }: Pick<DomainContract, "domain" | "resolver">,
): Promise<DomainModule> {
  const refuse = (what: string, cause?: unknown) =>
    new DomainModuleError(`contracts.${domain}.module ${path}: ${what}`, { cause });
  let loaded: Readonly<Record<string, unknown>>;
  try {
    const found = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    if (found !== sha256) throw new Error("changed since the contracts were read: restart what uses them");
    // Modules are kept by their address: another content is another one.
    loaded = await import(`${pathToFileURL(path).href}?${sha256}`);
  } catch (error) {
    throw refuse(errorText(error), error);
  }
  const given = ["reduce", "merge", "resolver"].filter((name) => loaded[name] !== undefined);
  if (given.length !== 1)
    throw refuse(`exports ${given.join(" and ") || "none"} of reduce, merge and resolver: export one`);
  if (loaded.merge !== undefined && resolver !== "vector-clock")
    throw refuse(`exports merge, which is for resolver "vector-clock", and the contract says "${resolver}"`);
  if (loaded.resolver === undefined) {
    if (typeof loaded[given[0] as string] !== "function") throw refuse(`its ${given[0]} is no function`);
    return loaded;
  }
  const own = loaded.resolver as Partial<Record<string, unknown>> | null;
  const missing = METHODS.filter((method) => typeof own?.[method] !== "function");
  if (missing.length > 0 || typeof own?.name !== "string")
    throw refuse(
      `its resolver has no ${[...(typeof own?.name === "string" ? [] : ["name"]), ...missing].join(", ")}`,
    );
  return loaded as DomainModule;
}
