import type { StrongDomains } from "../../protocol/commit.ts";
import type { Contracts, Mode } from "./contract.ts";

/** What of a configuration says which domains are strong. */
export interface DeclaredModes {
  readonly sync: { readonly mode: Mode };
  readonly contracts: Readonly<Record<string, { readonly mode?: Mode | undefined }>>;
}

/** The domains that may have commits. */
export function strongIn({ usual, domains }: Contracts): StrongDomains {
  return strongDomains({ sync: { mode: usual.mode }, contracts: domains });
}

/** The domains whose events are committed by the hub. Where every domain is, none can be of another mode. */
export function strongDomains({ sync, contracts }: DeclaredModes): StrongDomains {
  if (sync.mode === "strong") return { all: true, domains: [] };
  const domains = Object.keys(contracts).filter((domain) => contracts[domain]?.mode === "strong");
  return { all: false, domains };
}
