import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { type ConnectNatsOptions, connectNats } from "../../shared/nats/connect.ts";
import { ensureSeedFile } from "../../shared/nats/nkeys.ts";
import { type WritableServerConfig, writeServerConfig } from "../../shared/nats/write-server-config.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { freePorts } from "./free-port.ts";
import { startNatsServer, type TestNatsServer } from "./nats-server.ts";
import { tempDir } from "./temp-dir.ts";

export interface NatsFleetOptions {
  /** Names of the leaves; default one, `leaf1`. */
  readonly leaves?: readonly string[];
  readonly hub?: string;
  /** Changes a node's configuration before it is used; `leafPort` is the hub's. */
  readonly configure?: (config: WritableServerConfig, leafPort: number) => WritableServerConfig;
  /** Leaves that are known to the hub but not started. */
  readonly notStarted?: readonly string[];
}

export interface NatsFleet extends AsyncDisposable {
  readonly hub: TestNatsServer;
  readonly leafPort: number;
  server(node: string): TestNatsServer;
  config(node: string): WritableServerConfig;
  /** Starts a leaf of `notStarted`. */
  start(node: string): Promise<TestNatsServer>;
  /** A connection as the node's daemon, its view of its server, or a program; closed on disposal. */
  connect(
    node: string,
    as: "agent" | "sys" | "app",
    over?: Partial<ConnectNatsOptions>,
  ): Promise<NatsConnection>;
}

/** A hub's and some leaves' real nats-servers with the generated configuration, no daemons. */
export async function startNatsFleet(options: NatsFleetOptions = {}): Promise<NatsFleet> {
  const hubName = options.hub ?? "hub";
  const leafNames = options.leaves ?? ["leaf1"];
  const dir = await tempDir("cim-fleet-");
  const nodes = [hubName, ...leafNames];
  const ports = await freePorts(nodes.length * 2 + 1);
  const leafPort = ports.pop() as number;
  const leaves = await Promise.all(
    leafNames.map(async (name) => {
      const { publicKey } = await ensureSeedFile(join(dir.path, name, "link.nk"));
      return { name, publicKey };
    }),
  );
  const configs = new Map(
    nodes.map((node, i): [string, WritableServerConfig] => {
      const dataDir = join(dir.path, node);
      const hub = node === hubName;
      const config: WritableServerConfig = {
        node,
        role: hub ? "hub" : "leaf",
        dataDir,
        nats: {
          url: `nats://127.0.0.1:${ports[2 * i]}`,
          monitor: `127.0.0.1:${ports[2 * i + 1]}`,
          storeDir: join(dataDir, "nats"),
          leafListen: hub ? `127.0.0.1:${leafPort}` : null,
          hubDomain: hubName,
          hubs: hub ? [] : [`nats-leaf://127.0.0.1:${leafPort}`],
          linkSeedFile: join(dataDir, "link.nk"),
          agentSeedFile: join(dataDir, "agent.nk"),
          sysSeedFile: join(dataDir, "sys.nk"),
          anonymousApp: true,
          maxPayload: 8 * 1024 * 1024,
          maxFile: 1024 * 1024 * 1024,
          maxMemory: 64 * 1024 * 1024,
          syncInterval: "always",
        },
        leaves: hub ? leaves : [],
        // Patient: a machine that stands still for three seconds cuts no link.
        heartbeat: { preset: "wan" },
      };
      return [node, options.configure?.(config, leafPort) ?? config];
    }),
  );
  const servers = new Map<string, TestNatsServer>();
  const connections: NatsConnection[] = [];
  const config = (node: string) => configs.get(node) ?? fail(`no node ${node}`);
  const fleet: NatsFleet = {
    get hub() {
      return fleet.server(hubName);
    },
    leafPort,
    server: (node) => servers.get(node) ?? fail(`${node} is not started`),
    config,
    async start(node) {
      const { dataDir } = config(node);
      await mkdir(dataDir, { recursive: true });
      const file = await writeServerConfig(config(node));
      const server = await startNatsServer({ dir: dataDir, config: await readFile(file, "utf8") });
      servers.set(node, server);
      return server;
    },
    async connect(node, as, over = {}) {
      const { nats } = config(node);
      const nc = await connectNats({
        url: nats.url,
        name: `test ${as} ${node}`,
        ...(as === "agent" && { seedFile: nats.agentSeedFile, inboxPrefix: inboxPrefix(node) }),
        ...(as === "sys" && { seedFile: nats.sysSeedFile }),
        ...over,
      });
      connections.push(nc);
      return nc;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(connections.map((nc) => nc.close()));
      await Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]()));
      await dir[Symbol.asyncDispose]();
    },
  };
  try {
    for (const node of nodes) if (!options.notStarted?.includes(node)) await fleet.start(node);
  } catch (error) {
    await fleet[Symbol.asyncDispose]();
    throw error;
  }
  return fleet;
}

function fail(why: string): never {
  throw new Error(why);
}
