/** What of a contract says whose copies hold its domain. */
export interface Subscribed {
  readonly subscribers?: readonly string[] | undefined;
}

/** may: as its node likes. must: named. never: others are named, or nobody. */
export type Subscription = "may" | "must" | "never";

const EVERY_NODE = "*";

/** What a contract says of one leaf. */
export function subscriptionOf({ subscribers = [EVERY_NODE] }: Subscribed, node: string): Subscription {
  if (subscribers.includes(EVERY_NODE)) return "may";
  return subscribers.includes(node) ? "must" : "never";
}

/**
 * The domains that a node's copy holds when its configuration names none: all, or where a contract keeps a domain from
 * it, those of the other contracts. A list then, as a copy is followed by filters that say what comes, not what does not.
 * Empty on a leaf that no contract leaves a domain.
 */
export function copyDomains(of: {
  readonly node: string;
  readonly role: "hub" | "leaf";
  readonly contracts: Readonly<Record<string, Subscribed>>;
}): string[] {
  const entries = Object.entries(of.contracts);
  const held = entries.filter(([, contract]) => subscriptionOf(contract, of.node) !== "never");
  return of.role === "hub" || held.length === entries.length ? [EVERY_NODE] : held.map(([domain]) => domain);
}
