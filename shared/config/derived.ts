import { join } from "node:path";
import { copyDomains } from "../consistency/contract/subscribers.ts";
import type { ParsedDocument } from "./config-schema.ts";
import { HEARTBEAT_INTERVAL_MS } from "./replication-sections.ts";

/** A daemon's configuration, complete: every default and every derived value is in it. It is itself a valid document. */
export interface Config extends Omit<ParsedDocument, "nats" | "heartbeat" | "sync" | "state"> {
  readonly nats: ParsedDocument["nats"] & {
    storeDir: string;
    configFolder: string;
    hubDomain: string;
    linkSeedFile: string;
    agentSeedFile: string;
    sysSeedFile: string;
  };
  readonly sync: ParsedDocument["sync"] & { domains: string[] };
  readonly heartbeat: ParsedDocument["heartbeat"] & { intervalMs: number };
  readonly state: ParsedDocument["state"] & { enabled: boolean };
}

/** Fills in what follows from other keys. The only place that knows where a daemon's files lie by default. */
export function derive(document: ParsedDocument): Config {
  const { nats, heartbeat, sync, state, dataDir } = document;
  return {
    ...document,
    nats: {
      ...nats,
      storeDir: nats.storeDir ?? join(dataDir, "nats"),
      configFolder: nats.configFolder ?? dataDir,
      hubDomain: nats.hubDomain ?? (document.role === "hub" ? document.node : "hub"),
      linkSeedFile: nats.linkSeedFile ?? join(dataDir, "link.nk"),
      agentSeedFile: nats.agentSeedFile ?? join(dataDir, "agent.nk"),
      sysSeedFile: nats.sysSeedFile ?? join(dataDir, "sys.nk"),
    },
    sync: { ...sync, domains: sync.domains ?? copyDomains(document) },
    state: { ...state, enabled: state.enabled ?? document.role === "hub" },
    heartbeat: {
      ...heartbeat,
      intervalMs: heartbeat.intervalMs ?? HEARTBEAT_INTERVAL_MS[heartbeat.preset],
    },
  };
}
