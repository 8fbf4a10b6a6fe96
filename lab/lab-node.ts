import type { NodePart } from "./control-messages.ts";
import { type NodeDocument, nodeDocument } from "./fleet-document.ts";
import { LabError } from "./lab-error.ts";
import { labHost, type NodePaths } from "./node-plan.ts";
import { LabProcess, type ProcessEnd } from "./process.ts";
import { describeEnd, reloadServer, waitForDaemon, waitForServer } from "./readiness.ts";
import type { NodeState } from "./state.ts";

/** A store of many gigabytes is read through at a start. */
const serverStartTimeoutMs = 60_000;
const daemonStartTimeoutMs = 60_000;
/** What a daemon gets to drain, and a server to close its store. */
const defaultGraceMs = 15_000;
const reloadTimeoutMs = 20_000;

type Part = Exclude<NodePart, "both">;

export type LabNodeInit = {
  readonly state: NodeState;
  readonly paths: NodePaths;
  readonly serverCommand: readonly [string, ...string[]];
  /** undefined: this lab runs bare servers. */
  readonly daemonCommand: readonly [string, ...string[]] | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Called after each start and end of a process, before anybody is told. */
  readonly remember: () => Promise<void>;
  /** Told when a process has ended that the lab did not end, or is not what it should be. */
  readonly onNotice: (line: string) => void;
};

/** One node of the lab: its nats-server, its daemon, and their folder. */
export class LabNode {
  readonly name: string;
  readonly role: NodeState["role"];
  readonly paths: NodePaths;
  readonly ports: NodeState["ports"];
  readonly #init: LabNodeInit;
  readonly #processes: Record<Part, LabProcess | undefined> = { nats: undefined, daemon: undefined };
  readonly #endedByUs = new WeakSet<LabProcess>();
  #included: boolean;
  #closing = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(init: LabNodeInit) {
    this.name = init.state.name;
    this.role = init.state.role;
    this.ports = init.state.ports;
    this.paths = init.paths;
    this.#init = init;
    this.#included = init.state.included;
  }

  /** Any NATS client can use it, without credentials. */
  get natsUrl(): string {
    return `nats://${labHost}:${this.ports.nats}`;
  }

  get httpUrl(): string {
    return `http://${labHost}:${this.ports.http}`;
  }

  get monitorUrl(): string {
    return `http://${labHost}:${this.ports.monitor}`;
  }

  /** The running server and daemon; undefined after they ended, by whomever. */
  get nats(): LabProcess | undefined {
    return running(this.#processes.nats);
  }

  get daemon(): LabProcess | undefined {
    return running(this.#processes.daemon);
  }

  /** Whether the node belongs to the fleet that runs; false: its folder is known from an earlier start. */
  get included(): boolean {
    return this.#included;
  }

  get state(): NodeState {
    const { nats, daemon } = this;
    const identities = { nats: nats?.identity ?? null, daemon: daemon?.identity ?? null };
    return { ...this.#init.state, included: this.#included, ...identities };
  }

  get document(): NodeDocument {
    return nodeDocument(this.state, this.paths.dir);
  }

  /**
   * Starts what doesn't run. Returns when the server accepts connections and the daemon is ready; it also is while
   * its hub is away. Started without its server it only has to be alive. @throws LabError with the last words of what didn't come up
   */
  async start(what: NodePart = "both"): Promise<void> {
    await this.#inTurn(async () => {
      this.#included = true;
      if (what !== "daemon" && !this.nats) {
        const server = await this.#spawn("nats", this.#init.serverCommand);
        await waitForServer(server, this.ports.nats, serverStartTimeoutMs);
      }
      if (what === "nats" || this.daemon) return;
      if (!this.#init.daemonCommand) {
        if (what === "daemon")
          throw new LabError(`this lab runs bare servers: ${this.name} has no daemon`, 1);
        return;
      }
      const daemon = await this.#spawn("daemon", this.#init.daemonCommand);
      const until = this.nats ? "ready" : "alive";
      const failing = await waitForDaemon(daemon, this.httpUrl, until, daemonStartTimeoutMs);
      if (failing.length > 0)
        this.#init.onNotice(`${daemon.label} runs, but is not ready: ${failing.join(", ")}`);
    });
  }

  /** SIGKILL to what runs; returns when it is gone. */
  async kill(what: NodePart = "both"): Promise<void> {
    await this.#inTurn(async () => {
      await Promise.all(this.#running(what).map((process) => this.#expectEnd(process).kill()));
      await this.#init.remember();
    });
  }

  /** SIGTERM to what runs, the daemon first, as a service manager would; returns when it is gone. */
  async finish(what: NodePart = "both", graceMs = defaultGraceMs): Promise<void> {
    await this.#inTurn(async () => {
      for (const process of this.#running(what)) await this.#expectEnd(process).finish(graceMs);
      await this.#init.remember();
    });
  }

  /**
   * Has what runs read its configuration again. Returns when the server has, and the daemon was told (SIGHUP).
   * @throws LabError when the server doesn't answer: it is stopped, or took the new configuration for wrong
   */
  async reload(): Promise<void> {
    await this.#inTurn(async () => {
      const { nats, daemon } = this;
      if (nats) await reloadServer(nats, this.monitorUrl, reloadTimeoutMs);
      daemon?.signal("SIGHUP");
    });
  }

  /**
   * Like `finish`, for the end of the lab: doesn't wait for a start that is under way but fails it, and nothing starts
   * again afterwards. `hurry` kills at once.
   */
  async close(graceMs = defaultGraceMs, hurry?: AbortSignal): Promise<void> {
    this.#closing = true;
    for (;;) {
      const [process] = this.#running("both");
      if (process) await this.#expectEnd(process).finish(graceMs, hurry);
      else break;
    }
    await this.#turn;
    for (const process of this.#running("both")) await this.#expectEnd(process).kill();
  }

  /** SIGSTOP, the daemon first. @throws LabError when that part doesn't run */
  async stop(what: NodePart = "both"): Promise<void> {
    await this.#inTurn(async () => {
      for (const process of this.#running(what, "stopped")) await process.stop();
    });
  }

  /** SIGCONT, the server first. @throws LabError when that part doesn't run */
  async cont(what: NodePart = "both"): Promise<void> {
    await this.#inTurn(async () => {
      for (const process of this.#running(what, "continued").toReversed()) await process.cont();
    });
  }

  /** What runs of a part, the daemon first. With `verb`: @throws LabError when nothing does */
  #running(what: NodePart, verb?: string): LabProcess[] {
    const wanted = [what !== "nats" && this.daemon, what !== "daemon" && this.nats];
    const processes = wanted.filter((process) => process instanceof LabProcess);
    if (verb && processes.length === 0) {
      const part = { nats: "nats-server", daemon: "daemon", both: "server and daemon" }[what];
      throw new LabError(
        `${this.name}'s ${part} can't be ${verb}: nothing runs (cim lab start ${this.name})`,
        1,
      );
    }
    return processes;
  }

  async #spawn(part: Part, command: readonly [string, ...string[]]): Promise<LabProcess> {
    const { paths, env, remember } = this.#init;
    if (this.#closing) throw new LabError("the lab is ending", 1);
    const daemonLabel = this.role === "hub" ? "coordinator" : "agent";
    const process = await LabProcess.start({
      label: `${this.name}'s ${part === "nats" ? "nats-server" : daemonLabel}`,
      command,
      cwd: paths.dir,
      env,
      logFile: part === "nats" ? paths.serverLog : paths.daemonLog,
    });
    this.#processes[part] = process;
    void process.ended.then((end) => this.#onEnd(process, end));
    await remember();
    return process;
  }

  #expectEnd(process: LabProcess): LabProcess {
    this.#endedByUs.add(process);
    return process;
  }

  async #onEnd(process: LabProcess, end: ProcessEnd): Promise<void> {
    if (this.#endedByUs.has(process)) return;
    await this.#init.remember();
    this.#init.onNotice(await describeEnd(process, end));
  }

  /** One thing at a time per node; a failure is its caller's, the next one starts all the same. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(step);
    this.#turn = done.catch(() => {});
    return done;
  }
}

function running(process: LabProcess | undefined): LabProcess | undefined {
  return process?.end === undefined ? process : undefined;
}
