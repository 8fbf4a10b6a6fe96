import { resolve } from "node:path";
import { findServerBinary } from "../shared/nats/server-binary.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { answerControl } from "./control-answers.ts";
import { ControlSocket } from "./control-socket.ts";
import { daemonCommand, daemonEnvironment } from "./daemon-command.ts";
import { type FleetDocument, leafDocument } from "./fleet-document.ts";
import { keepContracts, keptContracts } from "./lab-contracts.ts";
import { LabError } from "./lab-error.ts";
import { LabFolder, type LabMemory } from "./lab-folder.ts";
import { LabNode } from "./lab-node.ts";
import { LinkProxy } from "./link-proxy.ts";
import { type NodeChanges, writeFleetFiles } from "./node-files.ts";
import {
  checkLeafName,
  checkWantedLeaves,
  type DeclaredContracts,
  hubName,
  labHost,
  nodePaths,
  type PlannedNode,
  planFleet,
  portWishes,
  type WantedLeaves,
  withPorts,
} from "./node-plan.ts";
import { choosePorts } from "./ports.ts";
import { waitForLinks } from "./readiness.ts";
import type { NodeState } from "./state.ts";

const linkTimeoutMs = 60_000;
const closeGraceMs = 3_000;

export type LabOptions = NodeChanges & {
  /** The lab's folder; made if it isn't there, continued if it is. */
  readonly dir: string;
  /** Default: the fleet that ran here last, at first 2. */
  readonly leaves?: WantedLeaves;
  /** Of every node, as at the key `contracts` of a configuration. Default: those of the last time, at first none. */
  readonly contracts?: DeclaredContracts;
  /** Default true. false: nats-servers and links alone, to measure or break the bare engine. */
  readonly daemons?: boolean;
  /** Of the servers and daemons; default: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** Told what happens by itself or by another process's wish, one line each; default: nobody. */
  readonly onNotice?: (line: string) => void;
  /** Aborted: a start that is under way ends. */
  readonly signal?: AbortSignal;
  /** Aborted: `close` kills what it would have asked. */
  readonly hurry?: AbortSignal;
};

export type NewLeaf = { readonly region?: string; readonly capabilities?: readonly string[] };

/** A whole fleet on this machine: real servers and daemons, a folder each, a breakable link before every leaf. */
export class Lab implements AsyncDisposable {
  readonly #options: LabOptions;
  readonly #folder: LabFolder;
  readonly #serverBinary: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #nodes = new Map<string, LabNode>();
  readonly #links = new Map<string, LinkProxy>();
  #changes: NodeChanges;
  #contracts: DeclaredContracts = {};
  #control: ControlSocket | undefined;
  #starting: Promise<unknown> = Promise.resolve();
  #adding: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(options: LabOptions, folder: LabFolder, serverBinary: string, env: NodeJS.ProcessEnv) {
    this.#options = options;
    this.#changes = options;
    this.#folder = folder;
    this.#serverBinary = serverBinary;
    this.#env = daemonEnvironment(env);
  }

  /**
   * Starts a fleet; returns when every server and daemon is ready and every leaf linked. After a failure nothing is
   * left running. @throws LabError, ConfigError, ServerBinaryError: one line each
   */
  static async up(options: LabOptions): Promise<Lab> {
    if (options.leaves !== undefined) checkWantedLeaves(options.leaves);
    const { signal, env = process.env } = options;
    const { path: serverBinary } = await findServerBinary({ env });
    const folder = await LabFolder.open(resolve(options.dir), options.onNotice ?? (() => {}));
    const lab = new Lab(options, folder, serverBinary, env);
    const abort = () => void lab.close();
    signal?.addEventListener("abort", abort);
    try {
      signal?.throwIfAborted();
      lab.#starting = lab.#start();
      await lab.#starting;
      signal?.throwIfAborted();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  get dir(): string {
    return this.#folder.dir;
  }

  get hub(): LabNode {
    return this.node(hubName);
  }

  /** The leaves that belong to the running fleet. */
  get leaves(): LabNode[] {
    return [...this.#nodes.values()].filter(({ role, included }) => role === "leaf" && included);
  }

  /** @throws LabError when there is no such node */
  node(name: string): LabNode {
    const node = this.#nodes.get(name);
    if (node) return node;
    throw new LabError(
      `there is no node "${name}" here: write one of ${[...this.#nodes.keys()].join(", ")}`,
      2,
    );
  }

  /** @throws LabError when there is no such leaf */
  leaf(name: string): LabNode {
    const node = this.node(name);
    if (node.role === "leaf") return node;
    throw new LabError(`${name} is not a leaf: write one of ${[...this.#links.keys()].join(", ")}`, 2);
  }

  /** The link before a leaf. @throws LabError when there is no such leaf */
  link(leafName: string): LinkProxy {
    return this.#links.get(this.leaf(leafName).name) as LinkProxy;
  }

  get document(): FleetDocument {
    const leaves = this.leaves.map((leaf) =>
      leafDocument(leaf.state, leaf.paths.dir, this.link(leaf.name).condition),
    );
    return { dir: this.dir, pid: process.pid, hub: this.hub.document, leaves };
  }

  /**
   * Adds a leaf to the running fleet: the hub's server and coordinator learn of it, then it starts. Returns when it is
   * ready and linked. @throws LabError
   */
  async addLeaf(name: string, { region, capabilities = [] }: NewLeaf = {}): Promise<LabNode> {
    const added = this.#adding.then(async () => {
      this.#checkOpen();
      checkLeafName(name, "cim lab add");
      if (this.#nodes.has(name)) {
        throw new LabError(
          `there is a node "${name}" already: choose another name, or cim lab start ${name}`,
          2,
        );
      }
      const place = region === undefined ? {} : { region };
      await this.#addNodes([
        { name, role: "leaf", ...place, capabilities: [...capabilities], included: true, wishes: {} },
      ]);
      this.#checkOpen();
      await this.node(name).start();
      await this.#waitForLinks([name]);
      return this.node(name);
    });
    this.#adding = added.catch(() => {});
    return await added;
  }

  /** Writes every node's configuration anew, with other changes, and has servers and daemons read it. */
  async reconfigure(changes: NodeChanges): Promise<void> {
    this.#changes = changes;
    await this.#writeFiles(this.#states());
    await Promise.all([...this.#nodes.values()].map((node) => node.reload()));
  }

  /** Tells the lab's user something. */
  notice(line: string): void {
    this.#options.onNotice?.(line);
  }

  /** Ends everything, daemons before their servers; returns when no process is left. Safe to repeat. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(): Promise<void> {
    this.#contracts = this.#options.contracts ?? (await keptContracts(this.dir));
    await this.#addNodes(planFleet(this.#folder.previous, this.#options.leaves));
    const included = [...this.#nodes.values()].filter(({ included }) => included);
    this.#checkOpen();
    await Promise.all(included.map((node) => node.start()));
    await this.#waitForLinks(this.leaves.map(({ name }) => name));
    this.#checkOpen();
    // Only now: under others that the nodes refused, a start that asks for none would be refused, too.
    if (this.#options.contracts) await keepContracts(this.dir, this.#contracts);
    this.#control = await ControlSocket.listen(this.dir, (request) => answerControl(this, request));
    await this.#remember();
  }

  /** Gives nodes their ports, links and files, and tells a running hub of new leaves. Starts no process. */
  async #addNodes(planned: readonly PlannedNode[]): Promise<void> {
    const wishes = portWishes(planned);
    const ports = await choosePorts(wishes, labHost);
    const moved = ports.filter((port, at) => wishes[at] !== undefined && wishes[at] !== port);
    if (moved.length > 0)
      this.notice(`${moved.length} of the ports used before are taken by others: new ones chosen`);
    const added = withPorts(planned, ports);
    await this.#writeFiles([...this.#states(), ...added]);
    await this.#nodes.get(hubName)?.reload();
    const leafPort =
      this.#nodes.get(hubName)?.ports.leaf ?? added.find(({ role }) => role === "hub")?.ports.leaf;
    for (const state of added) {
      this.#nodes.set(state.name, this.#makeNode(state));
      if (state.role === "hub") continue;
      const link = new LinkProxy({
        listen: { host: labHost, port: state.ports.link as number },
        target: { host: labHost, port: leafPort as number },
      });
      this.#links.set(state.name, link);
      await link.start();
    }
    await this.#remember();
  }

  #makeNode(state: NodeState): LabNode {
    const paths = nodePaths(this.dir, state.name);
    return new LabNode({
      state,
      paths,
      serverCommand: [this.#serverBinary, "-c", paths.serverConfig],
      daemonCommand: this.#options.daemons === false ? undefined : daemonCommand(state.role, paths.config),
      env: this.#env,
      remember: () => this.#remember(),
      onNotice: (line) => this.notice(line),
    });
  }

  /** Waits for those that can be linked now: a hub that was killed, or a link that is cut, is somebody's wish. */
  async #waitForLinks(leaves: readonly string[]): Promise<void> {
    const { nats, monitorUrl } = this.hub;
    const up = leaves.filter((name) => this.link(name).condition.state === "up" && this.node(name).nats);
    if (nats && up.length > 0) await waitForLinks(nats, monitorUrl, up, linkTimeoutMs);
  }

  async #close(): Promise<void> {
    // Who asks for something now is told that the lab ends, by a connection that closes.
    await this.#closeControl();
    await this.#closeNodes();
    // A start or an addition under way fails by that, at its next step; what it has still made goes too.
    await Promise.allSettled([this.#starting, this.#adding]);
    await this.#closeControl();
    await this.#closeNodes();
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
    await this.#folder.close(() => this.#memory()).catch((error) => this.notice(errorText(error)));
  }

  async #closeControl(): Promise<void> {
    await this.#control?.[Symbol.asyncDispose]();
    this.#control = undefined;
  }

  async #closeNodes(): Promise<void> {
    const nodes = [...this.#nodes.values()];
    await Promise.all(nodes.map((node) => node.close(closeGraceMs, this.#options.hurry)));
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new LabError("the lab is ending", 1);
  }

  #states(): NodeState[] {
    return [...this.#nodes.values()].map(({ state }) => state);
  }

  #memory(): LabMemory {
    return { control: this.#control?.path ?? null, nodes: this.#states() };
  }

  async #remember(): Promise<void> {
    await this.#folder.remember(() => this.#memory());
  }

  async #writeFiles(fleet: readonly NodeState[]): Promise<void> {
    await writeFleetFiles(this.dir, fleet, this.#contracts, this.#changes, this.#env);
  }
}
