import { describeLinkCondition, type LinkCondition } from "./link-condition.ts";
import { labHost } from "./node-plan.ts";
import type { NodeState } from "./state.ts";

/** A node as the lab tells of it; the pids are null while a process doesn't run. */
export type NodeDocument = {
  readonly name: string;
  /** URL that any NATS client can use; no credentials are needed in a lab. */
  readonly nats: string;
  /** Base URL of the daemon's HTTP. */
  readonly http: string;
  /** Base URL of the nats-server's monitoring. */
  readonly monitor: string;
  /** The node's folder: configuration, logs, data. */
  readonly dir: string;
  /** The coordinator on the hub, the agent on a leaf. */
  readonly pid: number | null;
  readonly natsPid: number | null;
};

export type LeafDocument = NodeDocument & {
  readonly link: { readonly url: string; readonly condition: string };
};

/** The fleet: the line that `cim lab up --json` prints when it is ready. */
export type FleetDocument = {
  readonly dir: string;
  readonly pid: number;
  readonly hub: NodeDocument;
  readonly leaves: readonly LeafDocument[];
};

export function nodeDocument(node: NodeState, dir: string): NodeDocument {
  return {
    name: node.name,
    nats: `nats://${labHost}:${node.ports.nats}`,
    http: `http://${labHost}:${node.ports.http}`,
    monitor: `http://${labHost}:${node.ports.monitor}`,
    dir,
    pid: node.daemon?.pid ?? null,
    natsPid: node.nats?.pid ?? null,
  };
}

export function leafDocument(node: NodeState, dir: string, condition: LinkCondition): LeafDocument {
  const url = `nats-leaf://${labHost}:${node.ports.link}`;
  return { ...nodeDocument(node, dir), link: { url, condition: describeLinkCondition(condition) } };
}
