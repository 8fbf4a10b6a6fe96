import { MODES, type Mode, RESOLVERS, type ResolverName } from "../consistency/contract/contract.ts";
import { PAIRS, type Pair } from "../consistency/contract/mode-resolver-pairs.ts";
import { copyDomains, subscriptionOf } from "../consistency/contract/subscribers.ts";
import { isRecord } from "./document-value.ts";
import { type Fault, pathText, shown } from "./faults.ts";

/** A key of the unchecked document, or its default. */
export type Read = (path: string) => unknown;

type Declared = Readonly<Record<string, unknown>>;

/**
 * What contracts demand of each other and of the rest of the document. Reads the unchecked document as its callers do; what
 * is of the wrong kind is told elsewhere.
 * @param pairs which pairs are offered
 */
export function* contractFaults(read: Read, pairs: readonly Pair[] = PAIRS): Iterable<Fault> {
  const usual = { mode: read("sync.mode"), resolver: read("sync.conflictResolution") };
  yield* pairFaults("sync.conflictResolution", usual, pairs);
  const declared = contractsOf(read);
  for (const [domain, contract] of declared) {
    const path = pathText(["contracts", domain]);
    yield* nameFaults(path, domain, contract);
    const { mode = usual.mode, resolver = usual.resolver } = contract;
    if (contract.mode !== undefined || contract.resolver !== undefined) {
      const blamed = contract.resolver === undefined ? "mode" : "resolver";
      yield* pairFaults(`${path}.${blamed}`, { mode, resolver }, pairs);
    }
    yield* weakerFaults(path, contract, usual.mode);
    yield* typedFaults(path, contract, resolver);
    yield* retentionFaults(path, contract, read);
  }
  if (read("role") === "leaf") yield* subscriptionFaults(read, declared);
}

function contractsOf(read: Read): [domain: string, Declared][] {
  const contracts = read("contracts");
  if (!isRecord(contracts)) return [];
  return Object.entries(contracts).filter((entry): entry is [string, Declared] => isRecord(entry[1]));
}

/** A checked copy of an object has no such key: what was declared under it would be gone without a word. */
function* nameFaults(path: string, domain: string, { fields }: Declared): Iterable<Fault> {
  const lost = "__proto__";
  if (domain === lost) yield { path, problem: "has a name that no object can have", write: "another domain" };
  if (isRecord(fields) && Object.hasOwn(fields, lost)) {
    yield { path: `${path}.fields.${lost}`, problem: "is a name that no field can have", write: "another" };
  }
}

function* pairFaults(
  path: string,
  { mode, resolver }: { readonly mode: unknown; readonly resolver: unknown },
  pairs: readonly Pair[],
): Iterable<Fault> {
  // A mode that no resolver is offered with is a fault of its own.
  const ofMode = pairs.filter((pair) => pair.mode === mode);
  if (!MODES.includes(mode as Mode) || !RESOLVERS.includes(resolver as ResolverName)) return;
  if (!ofMode.some(({ offered }) => offered)) return;
  const pair = ofMode.find((one) => one.resolver === resolver);
  if (!pair || pair.offered) return;
  const problem = `is ${shown(resolver)} with mode ${shown(mode)}, not yet offered by this build (${pair.why})`;
  yield { path, problem, write: pair.write };
}

/** The server sends what programs write in any domain to the hub then, and knows no exceptions. */
function* weakerFaults(path: string, { mode }: Declared, usual: unknown): Iterable<Fault> {
  if (usual !== "strong" || mode !== "eventual") return;
  yield {
    path: `${path}.mode`,
    problem: 'is "eventual", but sync.mode is "strong", from which no domain can be excepted by this build',
    write: '"strong", or sync.mode: "eventual" and "strong" in the contracts of the other domains',
  };
}

function* typedFaults(path: string, { fields, granularity }: Declared, resolver: unknown): Iterable<Fault> {
  if (resolver === "crdt" && granularity === "document") {
    yield {
      path: `${path}.granularity`,
      problem: 'is "document", but resolver crdt merges fields by their type',
      write: '"field", or another resolver',
    };
  }
  const isOther = RESOLVERS.includes(resolver as ResolverName) && resolver !== "crdt";
  if (isOther && isRecord(fields) && Object.keys(fields).length > 0) {
    yield {
      path: `${path}.fields`,
      problem: `gives types to fields, which resolver ${shown(resolver)} does not know`,
      write: 'resolver: "crdt", or leave them out',
    };
  }
}

/** Only the hub's document says how long the log is kept. */
function* retentionFaults(path: string, { retentionDays }: Declared, read: Read): Iterable<Fault> {
  const ofLog = read("log.retentionDays");
  if (read("role") !== "hub" || typeof retentionDays !== "number" || typeof ofLog !== "number") return;
  if (retentionDays <= 0 || retentionDays >= ofLog) return;
  yield {
    path: `${path}.retentionDays`,
    problem: `is ${retentionDays}, less than log.retentionDays (${ofLog}): taking one domain out of the middle of the log is not yet offered by this build`,
    write: `a number of at least ${ofLog}, or a smaller log.retentionDays`,
  };
}

/** What a leaf follows must be what the contracts give it. */
function* subscriptionFaults(read: Read, declared: readonly [string, Declared][]): Iterable<Fault> {
  const node = read("node");
  if (typeof node !== "string") return;
  const contracts = Object.fromEntries(
    declared.map(([domain, { subscribers }]) => [domain, isList(subscribers) ? { subscribers } : {}]),
  );
  const names = (what: "must" | "never") =>
    Object.keys(contracts).filter((domain) => subscriptionOf(contracts[domain] ?? {}, node) === what);
  const subscribers = (domain: string) => pathText(["contracts", domain, "subscribers"]);
  if (read("sync.enabled") === false) {
    for (const domain of names("must").slice(0, 1)) {
      yield {
        path: "sync.enabled",
        problem: `is false, but ${subscribers(domain)} names this node`,
        write: `true, or ${subscribers(domain)} without ${shown(node)}`,
      };
    }
    return;
  }
  const domains = read("sync.domains");
  if (!isList(domains)) {
    if (copyDomains({ node, role: "leaf", contracts }).length > 0) return;
    yield {
      path: "sync.domains",
      problem: "is left out, and the contracts leave this node none",
      write: "the domains without a contract that it shall hold, or sync.enabled: false",
    };
    return;
  }
  const all = domains.includes("*");
  for (const domain of names("never").filter((one) => all || domains.includes(one))) {
    yield {
      path: "sync.domains",
      problem: `${all ? 'is ["*"]' : `names ${shown(domain)}`}, but ${subscribers(domain)} leaves this node out`,
      write: `domains that it may hold, or ${subscribers(domain)} with ${shown(node)}`,
    };
  }
  for (const domain of names("must").filter((one) => !all && !domains.includes(one))) {
    yield {
      path: "sync.domains",
      problem: `leaves out ${shown(domain)}, but ${subscribers(domain)} names this node`,
      write: `${shown(domain)} too, or ${subscribers(domain)} without ${shown(node)}`,
    };
  }
}

const isList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === "string");
