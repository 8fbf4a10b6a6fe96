import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { findServerBinary } from "../../shared/nats/server-binary.ts";
import { eventually } from "./eventually.ts";
import { tempDir } from "./temp-dir.ts";

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

export interface StartNatsServer {
  /**
   * Configuration text; `{dir}` in it becomes the server's folder. Its own `listen`/`port` and `http` lines are
   * kept; without them the OS chooses both ports on 127.0.0.1. Default: JetStream alone, synced always.
   */
  readonly config?: string;
  /** The client port; default: the one in `config`, else chosen by the OS. Kept over `restart()`. */
  readonly port?: number;
  /** Kept after disposal when given; default: a temporary folder of its own, removed. */
  readonly dir?: string;
  /** The environment of the process, for configurations with `$VARIABLES`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestNatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly monitorUrl: string;
  /** Of the running process; changes with `restart()`. */
  readonly pid: number;
  readonly dir: string;
  readonly configFile: string;
  /** Sends a signal; for one that ends the process (the default, SIGKILL) waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP and SIGCONT: a server that is there and silent, from when `pause` returns. */
  pause(): void;
  resume(): void;
  /** SIGTERM, then waits; SIGKILL if it does not go. Safe to repeat. */
  stop(): Promise<void>;
  /** Stops it if it runs, then starts it again on the same ports and folder, with `config` when given. */
  restart(change?: { readonly config?: string }): Promise<void>;
  /** What it has logged since the first start. */
  log(): Promise<string>;
}

/** A real nats-server on loopback, ready for clients (and, with JetStream, healthy) when this returns. */
export async function startNatsServer(options: StartNatsServer = {}): Promise<TestNatsServer> {
  const binary = await findServerBinary();
  const own = options.dir === undefined ? await tempDir("cim-nats-") : undefined;
  const dir = options.dir ?? (own?.path as string);
  await mkdir(dir, { recursive: true });
  const server = new RunningServer(binary.path, dir, options, own);
  try {
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

const DEFAULT_CONFIG = 'server_name: test\njetstream { store_dir: "{dir}/nats", sync_interval: always }\n';
const ENDING: ReadonlySet<string> = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT"]);

class RunningServer implements TestNatsServer {
  readonly dir: string;
  readonly configFile: string;
  readonly #binary: string;
  readonly #logFile: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #own: AsyncDisposable | undefined;
  #config: string;
  #port: number | undefined;
  #monitorPort: number | undefined;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(binary: string, dir: string, options: StartNatsServer, own: AsyncDisposable | undefined) {
    this.#binary = binary;
    this.dir = dir;
    this.configFile = join(dir, "nats-server.conf");
    this.#logFile = join(dir, "nats-server.log");
    this.#env = options.env ?? {};
    this.#own = own;
    this.#config = options.config ?? DEFAULT_CONFIG;
    this.#port = options.port;
  }

  get port(): number {
    return this.#port as number;
  }
  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }
  get monitorUrl(): string {
    return `http://127.0.0.1:${this.#monitorPort}`;
  }
  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  async start(): Promise<void> {
    await writeFile(this.configFile, this.#config.replaceAll("{dir}", this.dir));
    const args = ["-c", this.configFile, "--ports_file_dir", this.dir];
    // A flag wins over the file, so give none where the file says it.
    const listens = /^\s*(listen|port|host)\b/m.test(topLevel(this.#config));
    if (this.#port !== undefined || !listens) args.push("-a", "127.0.0.1", "-p", String(this.#port ?? -1));
    const monitors = /^\s*(http|http_port|monitor_port)\b/m.test(topLevel(this.#config));
    if (this.#monitorPort !== undefined || !monitors) args.push("-m", String(this.#monitorPort ?? -1));
    const log = createWriteStream(this.#logFile, { flags: "a" });
    const child = spawn(this.#binary, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#env },
    });
    // So that a test run that ends early leaves no server behind.
    const endWithUs = () => child.kill("SIGKILL");
    process.once("exit", endWithUs);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        if (said.length < 20_000) said += chunk.toString();
        log.write(chunk);
      });
    }
    let gone = false;
    this.#exited = new Promise((resolve) => {
      child.once("close", () => {
        gone = true;
        process.removeListener("exit", endWithUs);
        log.end(resolve);
      });
    });
    this.#child = child;
    const portsFile = join(this.dir, `nats-server_${child.pid}.ports`);
    const ports = await eventually(
      async () => {
        if (gone) return "gone" as const;
        return JSON.parse(await readFile(portsFile, "utf8")) as { nats: string[]; monitoring?: string[] };
      },
      { timeoutMs: START_TIMEOUT_MS, what: "nats-server's ports file" },
    );
    if (ports === "gone") throw new Error(`nats-server did not start: ${said.trim()}`);
    this.#port = Number(new URL(ports.nats[0] as string).port);
    const monitor = ports.monitoring?.[0];
    if (monitor !== undefined) this.#monitorPort = Number(new URL(monitor).port);
    await eventually(() => answers(this.port), {
      timeoutMs: START_TIMEOUT_MS,
      what: "nats-server's greeting",
    });
    if (this.#monitorPort === undefined) return;
    await eventually(
      async () => {
        const health = await fetch(`${this.monitorUrl}/healthz`, { signal: AbortSignal.timeout(2_000) });
        return health.ok || (gone && Promise.reject(new Error("it ended")));
      },
      { timeoutMs: START_TIMEOUT_MS, what: "nats-server's health" },
    );
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#child?.kill(signal);
    if (ENDING.has(signal)) await this.#exited;
  }

  pause(): void {
    this.#child?.kill("SIGSTOP");
    // A thread that runs stops a moment later, and may have answered until then.
    for (const until = performance.now() + 10_000; !isStopped(this.pid); )
      if (performance.now() > until) throw new Error(`nats-server ${this.pid} does not stop`);
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // A paused process does not see SIGTERM.
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(force);
  }

  async restart(change: { readonly config?: string } = {}): Promise<void> {
    await this.stop();
    if (change.config !== undefined) this.#config = change.config;
    await this.start();
  }

  async log(): Promise<string> {
    return readFile(this.#logFile, "utf8").catch(() => "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(join(this.dir, `nats-server_${this.pid}.ports`), { force: true });
    await this.#own?.[Symbol.asyncDispose]();
  }
}

function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((task) => readFileSync(`${tasks}/${task}/stat`, "utf8").includes(") T "));
}

/** The configuration without what stands in braces, where `listen` means something else. */
function topLevel(config: string): string {
  let text = config;
  for (let before = ""; before !== text; ) {
    before = text;
    text = text.replace(/\{[^{}]*\}/g, "");
  }
  return text;
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => done(false));
    socket.once("data", (data) => done(data.toString().startsWith("INFO ")));
    socket.once("error", () => done(false));
  });
}
