import { hash } from "node:crypto";
import type { Contracts, DomainContract } from "../../shared/consistency/contract/contract.ts";

/** What of a contract decides a state, as a short hash: states of another one have to be folded anew. */
export function contractKey({ resolver, granularity, fields, module }: DomainContract): string {
  const decisive = [resolver, granularity, Object.entries(fields).sort(), module?.sha256 ?? null];
  return hash("sha256", JSON.stringify(decisive), "hex").slice(0, 16);
}

/** Those of all contracts of a node; `*`: of every domain that none was declared for. */
export function contractKeys({ usual, domains }: Contracts): Record<string, string> {
  const declared = Object.entries(domains).map(([domain, contract]) => [domain, contractKey(contract)]);
  return { ...Object.fromEntries(declared), "*": contractKey(usual) };
}

/** Whose states are no longer what the contracts make of the log: domains by name, `["*"]`: all. Pure. */
export function changedDomains(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly string[] {
  if (before["*"] !== after["*"]) return ["*"];
  const named = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...named].filter((domain) => keyOf(before, domain) !== keyOf(after, domain)).sort();
}

/** The key in force for a domain. */
export function keyOf(keys: Readonly<Record<string, string>>, domain: string): string | undefined {
  return Object.hasOwn(keys, domain) ? keys[domain] : keys["*"];
}
