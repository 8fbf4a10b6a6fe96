import { configDocument } from "./config-schema.ts";
import { contractFaults } from "./contract-faults.ts";
import { defaultOf } from "./described-key.ts";
import { isRecord, valueAt } from "./document-value.ts";
import { type Fault, shown } from "./faults.ts";
import { parseHostPort } from "./host-port.ts";
import { isLocalName } from "./local-name.ts";

/**
 * What keys demand of each other. These rules read the unchecked document, so that they are told together with
 * the faults of single keys; a key of the wrong kind is no matter of theirs.
 */
export function crossFieldFaults(document: unknown): Fault[] {
  const read = (path: string): unknown => {
    const keys = path.split(".");
    const written = valueAt(document, keys);
    return written === undefined ? defaultOf(configDocument, keys) : written;
  };
  return [
    ...roleFaults(read),
    ...leafFaults(read),
    ...staticNodeFaults(read),
    ...userFaults(read),
    ...addressFaults(read),
    ...sizeFaults(read),
    ...announcementFaults(read),
    ...contractFaults(read),
    ...stateFaults(read),
  ];
}

type Read = (path: string) => unknown;

const isGiven = (value: unknown): boolean =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

function* stateFaults(read: Read): Iterable<Fault> {
  if (read("role") === "leaf" && read("state.enabled") === true && read("sync.enabled") === false) {
    yield {
      path: "state.enabled",
      problem: "is true, but the node follows nothing that states could be made of (sync.enabled is false)",
      write: 'false, or "sync": {"enabled": true}',
    };
  }
}

function* roleFaults(read: Read): Iterable<Fault> {
  if (read("role") === "leaf") {
    if (!isGiven(read("nats.hubs"))) {
      yield {
        path: "nats.hubs",
        problem: "is empty, but a leaf links to a hub",
        write: 'the hub\'s address, as ["nats-leaf://10.0.0.1:7422"]',
      };
    }
    if (isGiven(read("nats.leafListen"))) {
      yield { path: "nats.leafListen", problem: "is of hubs only, and this node is a leaf", write: "null" };
    }
    if (isGiven(read("leaves"))) {
      yield { path: "leaves", problem: "is of hubs only, and this node is a leaf", write: "[]" };
    }
    if (read("node") !== undefined && read("node") === (read("nats.hubDomain") ?? "hub")) {
      yield {
        path: "node",
        problem: `is ${shown(read("node"))}, which is the hub's name too`,
        write: "a name that no other node of the fleet has",
      };
    }
  }
  if (read("role") === "hub") {
    if (isGiven(read("leaves")) && !isGiven(read("nats.leafListen"))) {
      yield {
        path: "nats.leafListen",
        problem: "is not set, but leaves are to link here",
        write: '"0.0.0.0:7422"',
      };
    }
    if (isGiven(read("nats.hubs"))) {
      yield { path: "nats.hubs", problem: "is of leaves only, and this node is a hub", write: "[]" };
    }
    const domain = read("nats.hubDomain");
    if (typeof domain === "string" && domain !== read("node")) {
      yield {
        path: "nats.hubDomain",
        problem: `is ${shown(domain)}, but a hub's domain is its own name`,
        write: `${shown(read("node"))}, or leave it out`,
      };
    }
  }
}

function* announcementFaults(read: Read): Iterable<Fault> {
  const name = read("discovery.dnsQuery");
  if (read("discovery.mdnsAnnounce") !== true || typeof name !== "string" || isLocalName(name)) return;
  yield {
    path: "discovery.dnsQuery",
    problem: `is ${shown(name)}, but discovery.mdnsAnnounce is true and only names in .local are announced`,
    write: '"_nats._tcp.cim.local", or discovery.mdnsAnnounce: false',
  };
}

function* leafFaults(read: Read): Iterable<Fault> {
  const leaves = read("leaves");
  if (!Array.isArray(leaves)) return;
  const own = read("node");
  const names = new Map<unknown, string>([[own, "this hub's own name"]]);
  const keys = new Map<unknown, string>();
  for (const [index, leaf] of leaves.entries()) {
    if (!isRecord(leaf)) continue;
    const path = `leaves[${index}]`;
    yield* seenBefore(names, leaf.name, `${path}.name`, "a name of its own for each node");
    yield* seenBefore(keys, leaf.publicKey, `${path}.publicKey`, "the key that this leaf itself made");
  }
}

/** Which of two entries would count is for the operator to say. */
function* staticNodeFaults(read: Read): Iterable<Fault> {
  const nodes = read("discovery.staticNodes");
  if (!Array.isArray(nodes)) return;
  const names = new Map<unknown, string>();
  for (const [index, node] of nodes.entries()) {
    const path = `discovery.staticNodes[${index}].name`;
    if (isRecord(node)) yield* seenBefore(names, node.name, path, "each node once");
  }
}

/** A user has a key or a password; one key cannot be two users, nor one name have two passwords. */
function* userFaults(read: Read): Iterable<Fault> {
  const users = read("nats.users");
  if (!Array.isArray(users)) return;
  const leaves = read("leaves");
  const keys = new Map<unknown, string>();
  for (const [index, leaf] of (Array.isArray(leaves) ? leaves : []).entries()) {
    if (isRecord(leaf)) keys.set(leaf.publicKey, `leaves[${index}].publicKey`);
  }
  const names = new Map<unknown, string>();
  for (const [index, user] of users.entries()) {
    if (!isRecord(user)) continue;
    const path = `nats.users[${index}]`;
    const [byKey, byPassword] = [isGiven(user.publicKey), isGiven(user.passwordHashFile)];
    if (byKey === byPassword) {
      yield {
        path,
        problem: byKey ? "has a publicKey and a passwordHashFile" : "has neither a key nor a password",
        write: "either publicKey or passwordHashFile",
      };
    }
    if (byPassword) yield* seenBefore(names, user.name, `${path}.name`, "one password for each name");
    yield* seenBefore(keys, user.publicKey, `${path}.publicKey`, "a key of its own for each user");
  }
}

function* seenBefore(
  seen: Map<unknown, string>,
  value: unknown,
  path: string,
  write: string,
): Iterable<Fault> {
  if (typeof value !== "string") return;
  const first = seen.get(value);
  if (first === undefined) seen.set(value, path);
  else yield { path, problem: `is ${shown(value)}, the same as ${first}`, write };
}

/** The listeners of one document are on one machine: two of them cannot have one port. */
function* addressFaults(read: Read): Iterable<Fault> {
  const url = read("nats.url");
  const authority = typeof url === "string" ? /:\/\/([^/]*)/.exec(url)?.[1] : undefined;
  const listeners: readonly (readonly [string, unknown])[] = [
    ["nats.url", authority],
    ["nats.monitor", read("nats.monitor")],
    ["nats.leafListen", read("nats.leafListen")],
    ["http", read("http")],
  ];
  const taken: { path: string; host: string; port: number }[] = [];
  for (const [path, address] of listeners) {
    const parsed = typeof address === "string" ? parseHostPort(address) : null;
    if (parsed === null || parsed.port === 0) continue;
    const other = taken.find(({ host, port }) => port === parsed.port && overlap(host, parsed.host));
    if (other !== undefined) {
      yield {
        path,
        problem: `is ${shown(address)}, a port that ${other.path} has already`,
        write: "a port of its own",
      };
    }
    taken.push({ path, ...parsed });
  }
}

const EVERY_ADDRESS = ["0.0.0.0", "::"];
const overlap = (a: string, b: string): boolean =>
  a === b || EVERY_ADDRESS.includes(a) || EVERY_ADDRESS.includes(b);

function* sizeFaults(read: Read): Iterable<Fault> {
  const outbox = read("outbox.maxBytes");
  const store = read("nats.maxFile");
  if (typeof outbox === "number" && typeof store === "number" && store > 0 && outbox > store) {
    yield {
      path: "outbox.maxBytes",
      problem: `is ${outbox}, more than the whole store may hold (nats.maxFile, ${store})`,
      write: "a smaller number, or a larger nats.maxFile",
    };
  }
  const interval = read("health.intervalS");
  const timeout = read("health.timeoutS");
  if (typeof interval === "number" && typeof timeout === "number" && interval > 0 && timeout > interval) {
    yield {
      path: "health.timeoutS",
      problem: `is ${timeout}, longer than the time between two probes (health.intervalS, ${interval})`,
      write: "a smaller number",
    };
  }
}
