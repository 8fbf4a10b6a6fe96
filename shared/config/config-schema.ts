import * as z from "zod";
import { contractsKey } from "./contracts-section.ts";
import { key } from "./described-key.ts";
import { auditSection, discoverySection, healthSection, routingSection } from "./fleet-sections.ts";
import { natsSection } from "./nats-section.ts";
import {
  capabilitiesKey,
  coordinatesKey,
  heartbeatSection,
  leavesKey,
  logSection,
  outboxSection,
  proofSection,
  regionKey,
  syncSection,
} from "./replication-sections.ts";
import { stateSection } from "./state-section.ts";
import { absolutePath, listenAddress, nodeName } from "./value-kinds.ts";

/** A section may be left out: all its keys have defaults. */
const section = <S extends z.ZodType>(schema: S, what: string) =>
  key(schema.prefault({} as z.input<S>), { what, write: "an object with the keys of print-schema" });

/** The configuration of one daemon, as it is written in its JSON document. */
export const configDocument = key(
  z.strictObject({
    node: key(nodeName, {
      what: "The node's name, also its JetStream domain and its server's name. One per fleet; keep it for the node's life.",
      write: 'a name of a-z, 0-9 and -, as "leaf1"',
    }),
    role: key(z.enum(["hub", "leaf"]), {
      what: "hub: holds the log and puts events in order. leaf: keeps an outbox and a copy.",
      write: '"hub" or "leaf"',
    }),
    region: regionKey,
    capabilities: capabilitiesKey,
    coordinates: coordinatesKey,
    dataDir: key(absolutePath, {
      what: "The daemon's own folder (mode 0700): seeds, state, and the server's store unless nats.storeDir says otherwise.",
      write: 'an absolute path, as "/var/lib/cim"',
    }),
    nats: section(natsSection, "The node's own nats-server."),
    leaves: leavesKey,
    outbox: section(outboxSection, "The stream of the node's own writes."),
    sync: section(syncSection, "The node's copy of the log."),
    contracts: contractsKey,
    log: section(logSection, "The log (hub)."),
    state: section(stateSection, "What the node's events add up to: the state of each aggregate."),
    proof: section(proofSection, "How often nodes are compared with the log (hub)."),
    heartbeat: section(heartbeatSection, "How the node tells that it lives."),
    http: key(listenAddress.nullable().default("127.0.0.1:9464"), {
      what: "host:port of the daemon's HTTP (health, metrics, API); port 0 lets the system choose; null turns it off.",
      write: '"127.0.0.1:9464", or null to turn it off',
    }),
    httpTokenFile: key(absolutePath.nullable().default(null), {
      what: "File with the bearer token for HTTP verbs that change something; null: such verbs are refused.",
      write: "an absolute path, or null",
    }),
    logLevel: key(z.enum(["error", "warn", "info", "debug", "trace"]).default("info"), {
      what: "Least important messages that are logged.",
      write: '"error", "warn", "info", "debug" or "trace"',
    }),
    discovery: section(discoverySection, "Where nodes are looked for."),
    routing: section(routingSection, "Which leaf a command goes to."),
    health: section(healthSection, "How nodes are probed."),
    audit: section(auditSection, "What is audited."),
    snapshotInterval: key(z.int().min(1).max(1_000_000_000).default(100), {
      what: "An aggregate's state is stored at the latest after so many of its events, though more of them wait to be folded.",
      write: "a whole number of at least 1, as 100",
    }),
    cacheSize: key(z.int().min(0).max(10_000_000).default(1000), {
      what: "Aggregates whose states are held in memory, count; others are read again when an event of theirs comes.",
      write: "a whole number, as 1000",
    }),
  }),
  { what: "Configuration of one cim daemon.", write: 'an object, as {"node": "leaf1", "role": "leaf", …}' },
);

/** What may be written in the document: only `node`, `role` and `dataDir` must be. */
export type ConfigDocument = z.input<typeof configDocument>;

/** The document with its defaults, before paths and intervals are derived. */
export type ParsedDocument = z.output<typeof configDocument>;
