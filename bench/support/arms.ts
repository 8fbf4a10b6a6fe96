import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Lab } from "../../lab/lab.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import type { NodeChanges } from "../../lab/node-files.ts";
import { nodePaths } from "../../lab/node-plan.ts";
import type { NodeState } from "../../lab/state.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { SUBJECT } from "../../shared/protocol/subjects.ts";
import { type TempDir, tempDir } from "../../test/support/temp-dir.ts";

/** What is measured: cim's own fleet, or the same servers with JetStream's sources and mirrors and no daemons. */
export type ArmKind = "cim" | "bare";

export interface ArmInit {
  readonly leaves: number;
  /** Compression of the links, as nats-server names it. Default: cim's own (`s2_auto`: none below 10 ms), bare `off`. */
  readonly compression?: string;
  /** cim: which leaves keep a copy of the log; default all. */
  readonly copies?: readonly string[];
  /** cim: further changes of a node's configuration. */
  readonly configure?: NonNullable<NodeChanges["configure"]>;
  /** bare: streams that read over the link are made later, with `source` and `mirror`. */
  readonly unsourced?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * A fleet to be measured. Both kinds have real servers with `sync_interval: always`, the lab's links before the leaves,
 * `CIM_OUTBOX` on each leaf and the log `CIM_EVENTS` on the hub, so that the same writers and readers serve both.
 */
export class Arm implements AsyncDisposable {
  readonly kind: ArmKind;
  readonly lab: Lab;
  readonly #dir: TempDir;
  readonly #connections: NatsConnection[] = [];

  private constructor(kind: ArmKind, lab: Lab, dir: TempDir) {
    this.kind = kind;
    this.lab = lab;
    this.#dir = dir;
  }

  static async start(kind: ArmKind, init: ArmInit): Promise<Arm> {
    const dir = await tempDir(`cim-bench-${kind}-`);
    const labDir = join(dir.path, "lab");
    try {
      const lab = await Lab.up({
        dir: labDir,
        leaves: init.leaves,
        daemons: kind === "cim",
        ...(init.env && { env: init.env }),
        onNotice: (line) => process.stderr.write(`  ${kind}: ${line}\n`),
        ...(kind === "cim" ? cimChanges(init) : bareChanges(labDir, init.compression ?? "off")),
      });
      const arm = new Arm(kind, lab, dir);
      if (kind === "bare") await arm.#makeBareStreams(init.unsourced ?? false);
      return arm;
    } catch (error) {
      await dir[Symbol.asyncDispose]();
      throw error;
    }
  }

  get hub(): LabNode {
    return this.lab.hub;
  }

  leaf(at = 1): LabNode {
    return this.lab.leaf(`leaf${at}`);
  }

  /** A program's connection to a node, closed with the arm. */
  async connect(node: LabNode): Promise<NatsConnection> {
    const nc = await connect({
      servers: node.natsUrl,
      name: "bench",
      maxReconnectAttempts: -1,
      reconnectTimeWait: 10,
      reconnectJitter: 0,
      reconnectJitterTLS: 0,
    });
    this.#connections.push(nc);
    return nc;
  }

  /** Cuts every link. */
  async cut(): Promise<void> {
    await Promise.all(this.lab.leaves.map(({ name }) => this.lab.link(name).set({ state: "down" })));
  }

  /** bare: lets the hub's log source the leaves' outboxes. */
  async source(): Promise<void> {
    const nc = await this.connect(this.hub);
    const sources = this.lab.leaves.map(({ name }) => ({
      name: STREAM.outbox,
      opt_start_seq: 1,
      external: { api: `$JS.${name}.API`, deliver: "" },
    }));
    await createStream(nc, STREAM.events, { sources });
  }

  /** bare: makes a leaf's copy, a mirror of the log. */
  async mirror(leaf: LabNode): Promise<void> {
    const nc = await this.connect(leaf);
    const external = { api: "$JS.hub.API", deliver: "" };
    await createStream(nc, STREAM.events, { mirror: { name: STREAM.events, opt_start_seq: 1, external } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#connections.map((nc) => nc.close().catch(() => undefined)));
    await this.lab.close();
    await this.#dir[Symbol.asyncDispose]();
  }

  async #makeBareStreams(unsourced: boolean): Promise<void> {
    for (const leaf of this.lab.leaves) {
      const nc = await this.connect(leaf);
      await createStream(nc, STREAM.outbox, { subjects: [SUBJECT.allEvents], allow_atomic: true });
    }
    if (unsourced) return;
    await this.source();
    for (const leaf of this.lab.leaves) await this.mirror(leaf);
  }
}

async function createStream(nc: NatsConnection, name: string, rest: object): Promise<void> {
  const config = { name, storage: "file", discard: "new", num_replicas: 1, allow_direct: true, ...rest };
  await jetStreamApi(nc, `STREAM.CREATE.${name}`, config);
}

function cimChanges(init: ArmInit): NodeChanges {
  return {
    configure: (document) => {
      const node = document as { node: string; role: string };
      const changed = {
        ...document,
        logLevel: "warn" as const,
        ...(node.role === "leaf" && init.copies && { sync: { enabled: init.copies.includes(node.node) } }),
      };
      return init.configure?.(changed) ?? changed;
    },
    ...(init.compression !== undefined && {
      configureServer: (text) => text.replaceAll(/(compression:? )"?s2_auto"?/g, `$1${init.compression}`),
    }),
  };
}

/** The same servers without cim: one account, no rights, the links' denies that keep one publish from being stored twice. */
function bareChanges(labDir: string, compression: string): NodeChanges {
  return {
    configureServer: (_, node) => `
server_name: ${node.name}
listen: 127.0.0.1:${node.ports.nats}
http: 127.0.0.1:${node.ports.monitor}
max_payload: 8388608
ping_interval: "1s"
ping_max: 2
write_deadline: "10s"
jetstream { domain: ${node.name}, store_dir: "${nodePaths(labDir, node.name).store}", max_file_store: 10737418240,
  max_memory_store: 268435456, sync_interval: always }
leafnodes { ${leafnodes(node, compression)} }
`,
  };
}

function leafnodes(node: NodeState, compression: string): string {
  if (node.role === "hub")
    return `listen: "127.0.0.1:${node.ports.leaf}", compression: ${compression}, no_advertise: true`;
  const local = `["${SUBJECT.allEvents}", "${SUBJECT.allLog}"]`;
  return `reconnect: "200ms", remotes: [ { urls: ["nats-leaf://127.0.0.1:${node.ports.link}"], ignore_discovered_servers: true,
    deny_imports: ${local}, deny_exports: ${local}, dial_timeout: "1s", first_info_timeout: "1s", compression: ${compression} } ]`;
}
