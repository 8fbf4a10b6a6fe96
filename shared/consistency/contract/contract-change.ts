import { createHash } from "node:crypto";
import { type Contracts, contractFor, type DomainContract } from "./contract.ts";

/** What two contracts of a domain can differ in. */
export type ContractPart =
  | "mode"
  | "resolver"
  | "granularity"
  | "fields"
  | "module"
  | "retentionDays"
  | "subscribers";

export interface ContractChange {
  /** "*": of every domain that has no contract of its own. */
  readonly domain: string;
  readonly part: ContractPart;
  readonly before: string;
  readonly after: string;
  readonly safe: boolean;
  /** What follows from it. */
  readonly why: string;
  /** What must be done before it, ready to follow the word "once"; "": nothing. */
  readonly once: string;
}

interface Judgement {
  readonly safe: boolean;
  readonly why: string;
  readonly once: string;
}

interface Part {
  readonly part: ContractPart;
  /** What is compared and shown. */
  readonly of: (contract: DomainContract) => unknown;
  readonly judge: (before: DomainContract, after: DomainContract) => Judgement;
}

const safe = (why: string) => (): Judgement => ({ safe: true, why, once: "" });

const REFOLDED: Judgement = {
  safe: false,
  why: "every state of it is folded anew by the other rule, which what the log no longer has can't be",
  once: "all nodes have caught up (cim status), on every node",
};

const SAME_FIELDS: Judgement = {
  safe: true,
  why: "a field that nobody wrote yet gets a type",
  once: "",
};

/** The only place that says which changes are safe while a fleet runs. */
const PARTS: readonly Part[] = [
  {
    part: "mode",
    of: ({ mode }) => mode,
    judge: (_, { mode }) =>
      mode === "eventual"
        ? {
            safe: false,
            why: "a leaf that is first would take writes which the hub still refuses",
            once: "the hub has it, and then on every leaf",
          }
        : {
            safe: false,
            why: "the log would refuse the events of it that outboxes still hold",
            once: "its writers have stopped and no node has anything left to ship (cim status), at the hub and then on every leaf",
          },
  },
  { part: "resolver", of: ({ resolver }) => resolver, judge: () => REFOLDED },
  { part: "granularity", of: ({ granularity }) => granularity, judge: () => REFOLDED },
  {
    part: "fields",
    of: ({ fields }) => fields,
    judge: (before, after) =>
      Object.entries(before.fields).every(([name, type]) => after.fields[name] === type)
        ? SAME_FIELDS
        : REFOLDED,
  },
  { part: "module", of: ({ module }) => module?.sha256 ?? null, judge: () => REFOLDED },
  {
    part: "retentionDays",
    of: ({ retentionDays }) => retentionDays,
    judge: safe("the log is purged later, or sooner; what was purged does not come back"),
  },
  {
    part: "subscribers",
    of: ({ subscribers }) => subscribers,
    judge: safe("copies are filled with the domain, or let go of it"),
  },
];

/** How the contracts of a node have changed, by domain. Pure. */
export function contractChanges(before: Contracts, after: Contracts): ContractChange[] {
  const named = new Set([...Object.keys(before.domains), ...Object.keys(after.domains)]);
  const pairs: [domain: string, DomainContract, DomainContract][] = [
    ["*", before.usual, after.usual],
    ...[...named]
      .sort()
      .map((domain): [string, DomainContract, DomainContract] => [
        domain,
        contractFor(before, domain),
        contractFor(after, domain),
      ]),
  ];
  return pairs.flatMap(([domain, was, is]) =>
    PARTS.filter(({ of }) => JSON.stringify(of(was)) !== JSON.stringify(of(is))).map(
      ({ part, of, judge }): ContractChange => ({
        domain,
        part,
        before: JSON.stringify(of(was)),
        after: JSON.stringify(of(is)),
        ...judge(was, is),
      }),
    ),
  );
}

/**
 * What a contract promises, as a short hash: that which a contract names as the one that it `replaces`. Who follows the
 * domain and how long it is kept are no part of it.
 */
export function promiseHash({ mode, resolver, granularity, fields, module }: DomainContract): string {
  const promise = [mode, resolver, granularity, Object.entries(fields).sort(), module?.sha256 ?? null];
  return createHash("sha256").update(JSON.stringify(promise)).digest("hex").slice(0, 16);
}

export interface RefusedChange extends ContractChange {
  /** What the new contract is to name as replaced; undefined: of the usual contract nothing can be said so. */
  readonly replaces: string | undefined;
}

/**
 * The changes that are neither safe nor declared to be meant. Pure.
 * @param replaces by domain, the promise that its new contract says it replaces
 */
export function refusedChanges(
  before: Contracts,
  after: Contracts,
  replaces: Readonly<Record<string, string | undefined>>,
): RefusedChange[] {
  return contractChanges(before, after)
    .filter((change) => !change.safe)
    .map((change) => {
      const { domain } = change;
      return { ...change, replaces: domain === "*" ? undefined : promiseHash(contractFor(before, domain)) };
    })
    .filter(({ domain, replaces: hash }) => hash === undefined || replaces[domain] !== hash);
}
