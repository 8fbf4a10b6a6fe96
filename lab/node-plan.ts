import { join } from "node:path";
import type { ConfigDocument } from "../shared/config/index.ts";
import { LabError } from "./lab-error.ts";
import type { NodeState } from "./state.ts";

/** Everything of a lab listens here. */
export const labHost = "127.0.0.1";
export const hubName = "hub";
const defaultLeaves = 2;
const mostLeaves = 64;
const nodeName = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** How many leaves (`leaf1`, `leaf2`, …), or which. */
export type WantedLeaves = number | readonly string[];

/** How domains replicate, as at the key `contracts` of every node's configuration. */
export type DeclaredContracts = NonNullable<ConfigDocument["contracts"]>;

/** A node before its ports are known: `wishes` are those it had. */
export type PlannedNode = Omit<NodeState, "ports" | "nats" | "daemon"> & {
  readonly wishes: Partial<NodeState["ports"]>;
};

/** Where a node keeps what. `data` is the daemon's own folder, with the server's store in it. */
export type NodePaths = {
  readonly dir: string;
  readonly data: string;
  readonly store: string;
  readonly config: string;
  readonly serverConfig: string;
  readonly daemonLog: string;
  readonly serverLog: string;
};

export function nodePaths(labDir: string, name: string): NodePaths {
  const dir = join(labDir, name);
  return {
    dir,
    data: join(dir, "data"),
    store: join(dir, "data", "nats"),
    config: join(dir, "config.json"),
    serverConfig: join(dir, "nats-server.conf"),
    daemonLog: join(dir, "daemon.log"),
    serverLog: join(dir, "nats-server.log"),
  };
}

/** Reads `--leaves`: a count, or names with commas. @throws LabError one line that says what to write */
export function parseWantedLeaves(text: string): WantedLeaves {
  const words = text.trim();
  if (/^\d+$/.test(words)) return checkWantedLeaves(Number(words));
  return checkWantedLeaves(words.split(",").map((name) => name.trim()));
}

/** @throws LabError */
export function checkWantedLeaves(leaves: WantedLeaves): WantedLeaves {
  const write = `write a number from 0 to ${mostLeaves}, or names with commas as berlin,paris`;
  const count = typeof leaves === "number" ? leaves : leaves.length;
  if (!Number.isInteger(count) || count < 0 || count > mostLeaves) {
    throw new LabError(`--leaves ${count} is not a number of leaves: ${write}`, 2);
  }
  if (typeof leaves === "number") return leaves;
  for (const [at, name] of leaves.entries()) {
    checkLeafName(name, "--leaves");
    if (leaves.indexOf(name) !== at) throw new LabError(`--leaves names "${name}" twice: ${write}`, 2);
  }
  return leaves;
}

/** @throws LabError */
export function checkLeafName(name: string, where: string): void {
  if (name === hubName || name === "standby") {
    throw new LabError(`${where}: "${name}" is kept for the hubs; give the leaf another name, as leaf1`, 2);
  }
  if (!nodeName.test(name)) {
    throw new LabError(
      `${where}: "${name}" is not a node's name; write 1 to 63 of a-z, 0-9 and -, as leaf1`,
      2,
    );
  }
}

/**
 * The fleet to start: what the folder knows and what is wanted now. Without a wish the fleet that ran last, at first
 * `leaf1` and `leaf2`. Leaves that the folder knows but nobody wants now stay known (the hub still lists them), stopped.
 */
export function planFleet(previous: readonly NodeState[], wanted: WantedLeaves | undefined): PlannedNode[] {
  const known = new Map(previous.map((node) => [node.name, node]));
  const lastTime = previous.filter((node) => node.role === "leaf" && node.included).map(({ name }) => name);
  const names = wanted ?? (previous.length > 0 ? lastTime : defaultLeaves);
  const included =
    typeof names === "number" ? Array.from({ length: names }, (_, at) => `leaf${at + 1}`) : names;
  const others = previous.filter(({ role, name }) => role === "leaf" && !included.includes(name));
  return [
    plan(known.get(hubName), hubName, "hub", true),
    ...included.map((name) => plan(known.get(name), name, "leaf", true)),
    ...others.map((node) => plan(node, node.name, "leaf", false)),
  ];
}

function plan(
  known: NodeState | undefined,
  name: string,
  role: NodeState["role"],
  included: boolean,
): PlannedNode {
  const { region, capabilities = [], ports = {} } = known ?? {};
  return { name, role, ...(region !== undefined && { region }), capabilities, included, wishes: ports };
}

/** Which ports a node of this role has. */
export function portNames(role: NodeState["role"]): readonly (keyof NodeState["ports"])[] {
  return role === "hub" ? ["nats", "monitor", "http", "leaf"] : ["nats", "monitor", "http", "link"];
}

/** The ports of all nodes in the order that `withPorts` takes them back. */
export function portWishes(nodes: readonly PlannedNode[]): (number | undefined)[] {
  return nodes.flatMap(({ role, wishes }) => portNames(role).map((name) => wishes[name]));
}

export function withPorts(nodes: readonly PlannedNode[], ports: readonly number[]): NodeState[] {
  let at = 0;
  return nodes.map(({ wishes: _, ...node }) => {
    const named = Object.fromEntries(portNames(node.role).map((name) => [name, ports[at++] as number]));
    return { ...node, ports: named as NodeState["ports"], nats: null, daemon: null };
  });
}

/** The JSON configuration of a node's daemon, and of what its nats-server's is generated from. */
export function configDocument(
  node: NodeState,
  fleet: readonly NodeState[],
  linkKeys: ReadonlyMap<string, string>,
  labDir: string,
  contracts: DeclaredContracts,
): ConfigDocument {
  const leaves = fleet.filter(({ role }) => role === "leaf");
  const common = {
    node: node.name,
    ...(node.region !== undefined && { region: node.region }),
    capabilities: node.capabilities,
    dataDir: nodePaths(labDir, node.name).data,
    contracts,
    http: `${labHost}:${node.ports.http}`,
  };
  const nats = {
    configFolder: nodePaths(labDir, node.name).dir,
    url: `nats://${labHost}:${node.ports.nats}`,
    monitor: `${labHost}:${node.ports.monitor}`,
    anonymousApp: true,
  };
  if (node.role === "leaf") {
    const hubs = [`nats-leaf://${labHost}:${node.ports.link}`];
    return { ...common, role: "leaf", nats: { ...nats, hubs, hubDomain: hubName } };
  }
  return {
    ...common,
    role: "hub",
    nats: { ...nats, leafListen: `${labHost}:${node.ports.leaf}` },
    leaves: leaves.map(({ name, region, capabilities }) => ({
      name,
      publicKey: linkKeys.get(name) ?? "",
      ...(region !== undefined && { region }),
      capabilities,
    })),
    // Past the link's proxy, as a host that is reached by another way: a dead server is told from a cut link.
    discovery: {
      staticNodes: leaves.map(({ name, ports }) => ({ name, url: `nats://${labHost}:${ports.nats}` })),
    },
  };
}
