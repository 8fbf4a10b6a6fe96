import { copyDomains, subscriptionOf } from "../consistency/contract/subscribers.ts";
import type { Config } from "./derived.ts";
import { pathText } from "./faults.ts";

/** What valid contracts come to on this node that somebody may not have meant. */
export function contractNotes(config: Config): string[] {
  return config.role === "hub" ? strangers(config) : followed(config);
}

/** Contracts are the same on every node, and who may link is said at the hub: it may be only not yet. */
function strangers({ node, leaves, contracts }: Config): string[] {
  const known = new Set(["*", node, ...leaves.map(({ name }) => name)]);
  return Object.entries(contracts).flatMap(([domain, { subscribers = [] }]) =>
    subscribers
      .filter((name) => !known.has(name))
      .map(
        (name) => `${pathText(["contracts", domain, "subscribers"])} names ${name}, which is not in leaves`,
      ),
  );
}

/** A list of domains that nobody wrote leaves out those that nobody named. */
function followed(config: Config): string[] {
  const { node, contracts, sync } = config;
  const keptAway = Object.keys(contracts).some(
    (domain) => subscriptionOf(contracts[domain] ?? {}, node) === "never",
  );
  const follows = copyDomains(config);
  if (!sync.enabled || !keptAway || JSON.stringify(follows) !== JSON.stringify(sync.domains)) return [];
  return [`the copy holds ${follows.join(", ")} by the contracts, and no domain without a contract`];
}
