import * as z from "zod";
import { EVENTS_PREFIX, isDomain, SUBJECT } from "./subjects.ts";

// Strong domains: an event is committed by the sequencer instead of being appended to the node's outbox. The way of one:
//
//   program      cim.events.orders.7.Placed               as for any other event
//   own server   cim.commit.leaf1.orders.7.Placed         its account mapping, made from the contracts
//   sequencer    answers a PubAck when it is durable in the log, or an error in JetStream's form
//
// Several may listen there as members of one queue group, of which the server tells exactly one: while the way to the hub is
// closed that is the leaf's agent, which refuses. What it refused the sequencer never heard.

const COMMIT = "cim.commit.";

export const COMMIT_SUBJECT = {
  /** All commits of all nodes, as the sequencer hears them. */
  all: `${COMMIT}>`,
} as const;

/** Whoever answers commits is a member of it. */
export const COMMIT_QUEUE = "cim-commit";

/** What programs on a node are mapped to. */
export const nodeCommits = (node: string): string => `${COMMIT}${node}.>`;
const domainCommits = (node: string, domain: string): string => `${COMMIT}${node}.${domain}.>`;

/** Domains whose events are committed. */
export interface StrongDomains {
  /** Every domain is strong. */
  readonly all: boolean;
  readonly domains: readonly string[];
}

export const NO_STRONG_DOMAINS: StrongDomains = { all: false, domains: [] };

/** Where programs on a node, and the node's link, may commit to. Empty: nowhere. */
export function commitRights(node: string, { all, domains }: StrongDomains): string[] {
  return all ? [nodeCommits(node)] : domains.map((domain) => domainCommits(node, domain));
}

/** What a node's server maps to what, so that any publisher of a strong domain is answered by the sequencer. */
export function commitMappings(
  node: string,
  { all, domains }: StrongDomains,
): Readonly<Record<string, string>> {
  if (all) return { [SUBJECT.allEvents]: nodeCommits(node) };
  return Object.fromEntries(
    domains.map((domain) => [`${EVENTS_PREFIX}${domain}.>`, domainCommits(node, domain)]),
  );
}

export interface CommitAddress {
  /** Whose program commits; proved by its link. */
  readonly node: string;
  /** The event's subject in the log. */
  readonly subject: string;
  readonly domain: string;
}

/** Reads a subject that the sequencer heard; undefined: it names no domain. The rest of it is judged as any event's. */
export function parseCommit(subject: string): CommitAddress | undefined {
  const nodeEnd = subject.indexOf(".", COMMIT.length);
  const domainEnd = subject.indexOf(".", nodeEnd + 1);
  if (!subject.startsWith(COMMIT) || nodeEnd < 0 || domainEnd < 0) return undefined;
  const domain = subject.slice(nodeEnd + 1, domainEnd);
  if (!isDomain(domain)) return undefined;
  const node = subject.slice(COMMIT.length, nodeEnd);
  return { node, domain, subject: EVENTS_PREFIX + subject.slice(nodeEnd + 1) };
}

/** All events of an event's aggregate, as a filter; of the domain's own ones when it has none. */
export const commitAggregate = (subject: string): string => `${subject.slice(0, subject.lastIndexOf("."))}.*`;

/** Versions of aggregates whose newest event the log was purged of. Each has a subject of its own, kept at the hub. */
export const PURGED_VERSIONS = "cim.versions.>";

/** @param aggregate as `commitAggregate` gives it */
export const purgedVersionSubject = (aggregate: string): string =>
  `cim.versions.${aggregate.slice(EVENTS_PREFIX.length, -2)}`;

/**
 * A version as `Cim-Expected-Version` has it: the log's index of the aggregate's newest event, `none` or 0: it has no event.
 * Undefined: it is none.
 */
export function parseVersion(text: string): number | undefined {
  if (text === "none") return 0;
  return /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;
}

/**
 * A repeated id is recognised for so long after the hub took it, over restarts of the coordinator too, unless more than
 * `MOST_RECOGNISED` younger commits came since.
 */
export const RECOGNISED_MS = 120_000;
export const MOST_RECOGNISED = 200_000;

/** Why a commit was refused. Nothing of it was stored. */
export const COMMIT_REFUSALS = [
  /** The aggregate is at another version. */
  "version",
  /** It can't be taken as it is: id, headers, subject, size. */
  "event",
  /** The hub does not hold the domain for a strong one. */
  "domain",
  /** The node has no way to the hub, and that may last. */
  "offline",
  /** The hub can't take it just now: too much waits, its log is being read. */
  "unavailable",
] as const;
export type CommitRefusal = (typeof COMMIT_REFUSALS)[number];

/**
 * With `Nats-Expected-Stream: CIM_EVENTS` an event is stored by the hub or not at all: where a node's server does not map the
 * domain, its outbox refuses it, instead of taking it without judging its version.
 */
export const WRONG_STREAM_CODE = 10060;

/** JetStream's own codes, as clients know them (nats-server's errors.json). */
const CODES: Readonly<Record<CommitRefusal, { readonly code: number; readonly err_code: number }>> = {
  version: { code: 400, err_code: 10071 },
  event: { code: 400, err_code: 10003 },
  domain: { code: 400, err_code: 10003 },
  offline: { code: 503, err_code: 10008 },
  unavailable: { code: 503, err_code: 10008 },
};

/** What is answered when an event is durable in the log. JetStream clients read it as their PubAck. */
export const commitStored = z.object({
  stream: z.string(),
  /** The hub's JetStream domain. */
  domain: z.string(),
  /** Its sequence in the hub's stream: means nothing anywhere else. */
  seq: z.number().int(),
  /** It was stored before. */
  duplicate: z.boolean().optional(),
  /** The aggregate's version: the event's index in the log. */
  version: z.number().int(),
});
export type CommitStored = z.infer<typeof commitStored>;

export const commitRefused = z.object({
  error: z.object({ code: z.number(), err_code: z.number(), description: z.string() }),
  refusal: z.enum(COMMIT_REFUSALS),
  /** Of refusal `version`: the one that it is at; 0: it has no event. */
  actual: z.number().int().optional(),
});
export type CommitRefused = z.infer<typeof commitRefused>;

export const commitReply = z.union([commitStored, commitRefused]);
export type CommitReply = z.infer<typeof commitReply>;

export function refuseCommit(refusal: CommitRefusal, description: string, actual?: number): CommitRefused {
  return {
    error: { ...CODES[refusal], description },
    refusal,
    ...(actual !== undefined && { actual }),
  };
}

/** A version for people. */
export const versionText = (version: number): string => (version === 0 ? "none" : String(version));
