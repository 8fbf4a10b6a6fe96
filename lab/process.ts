import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rename, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { errorText } from "../shared/protocol/error-text.ts";
import { LabError } from "./lab-error.ts";
import { identify, type ProcessIdentity, viewProcess } from "./process-identity.ts";

const signalTimeoutMs = 20_000;
const largestLogBytes = 16 * 1024 * 1024;

export type LabProcessInit = {
  /** For people: `leaf1's nats-server`. */
  readonly label: string;
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Both output streams are appended to it. */
  readonly logFile: string;
};

export type ProcessEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A lab whose own process exits early (a failed test run) must not leave a fleet behind. */
const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** A process of the lab: started, signalled and waited for by its pid, with its output in a file. */
export class LabProcess {
  readonly label: string;
  readonly logFile: string;
  readonly identity: ProcessIdentity;
  /** Settles when it has ended, by whomever. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #logStart: number;
  #end: ProcessEnd | undefined;

  private constructor(
    init: LabProcessInit,
    child: ChildProcess,
    identity: ProcessIdentity,
    logStart: number,
  ) {
    this.label = init.label;
    this.logFile = init.logFile;
    this.identity = identity;
    this.#child = child;
    this.#logStart = logStart;
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
    this.ended = promise;
    const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
      this.#end = { code, signal };
      children.delete(child);
      resolve(this.#end);
    };
    children.add(child);
    if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode);
    else child.once("exit", onExit);
  }

  /** Returns when the program runs (it need not be ready). @throws LabError when it can't be run at all */
  static async start(init: LabProcessInit): Promise<LabProcess> {
    await setAsideLargeLog(init.logFile);
    const log = await open(init.logFile, "a", 0o600);
    try {
      const logStart = (await log.stat()).size;
      const [program, ...args] = init.command;
      const child = spawn(program, args, {
        cwd: init.cwd,
        env: init.env,
        stdio: ["ignore", log.fd, log.fd],
        // A process group of its own: Ctrl-C in a terminal reaches the lab alone, which ends the others in order.
        detached: true,
      });
      await once(child, "spawn");
      const pid = child.pid as number;
      // Gone already: its exit event follows, and nobody will look for this identity.
      const identity = (await identify(pid)) ?? { pid, startTicks: 0, command: [...init.command] };
      return new LabProcess(init, child, identity, logStart);
    } catch (error) {
      throw new LabError(`cannot start ${init.label} (${init.command[0]}): ${errorText(error)}`, 2, {
        cause: error,
      });
    } finally {
      await log.close();
    }
  }

  get pid(): number {
    return this.identity.pid;
  }

  /** How it ended; undefined while it runs, and while it is stopped by a signal. */
  get end(): ProcessEnd | undefined {
    return this.#end;
  }

  /** Sends a signal without waiting for anything. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGKILL; returns when it is gone. */
  async kill(): Promise<ProcessEnd> {
    this.signal("SIGKILL");
    return await this.ended;
  }

  /** Asks it to end, after `graceMs` or when `hurry` aborts kills it. Returns when it is gone. */
  async finish(graceMs: number, hurry?: AbortSignal): Promise<ProcessEnd> {
    if (this.#end) return this.#end;
    this.signal("SIGTERM");
    // One that is stopped gets its SIGTERM only when it goes on.
    this.signal("SIGCONT");
    const killNow = () => this.signal("SIGKILL");
    const timer = setTimeout(killNow, graceMs);
    hurry?.addEventListener("abort", killNow, { once: true });
    if (hurry?.aborted) killNow();
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
      hurry?.removeEventListener("abort", killNow);
    }
  }

  /** SIGSTOP; returns when the kernel says it stands. @throws LabError when it has ended */
  async stop(): Promise<void> {
    this.signal("SIGSTOP");
    await this.#untilState((state) => state === "T", "stop");
  }

  /** SIGCONT; returns when the kernel says it goes on. @throws LabError when it has ended */
  async cont(): Promise<void> {
    this.signal("SIGCONT");
    await this.#untilState((state) => state !== "T", "go on");
  }

  /** The last lines it has written since this start. */
  async lastLines(count: number): Promise<string[]> {
    const bytes = await readFile(this.logFile).catch(() => Buffer.alloc(0));
    const lines = bytes.subarray(this.#logStart).toString("utf8").split("\n");
    return lines.filter((line) => line.trim() !== "").slice(-count);
  }

  async #untilState(wanted: (state: string) => boolean, word: string): Promise<void> {
    const deadlineMs = performance.now() + signalTimeoutMs;
    while (performance.now() < deadlineMs) {
      if (this.#end) throw new LabError(`${this.label} has ended, it can't ${word}`, 1);
      const view = await viewProcess(this.pid);
      if (view && wanted(view.state)) return;
      await sleep(2);
    }
    throw new LabError(`${this.label} (pid ${this.pid}) did not ${word} within ${signalTimeoutMs} ms`, 1);
  }
}

/** A lab that goes on for weeks keeps the newest log and one before it. */
async function setAsideLargeLog(logFile: string): Promise<void> {
  const size = await stat(logFile).then(
    (file) => file.size,
    () => 0,
  );
  if (size > largestLogBytes) await rename(logFile, `${logFile}.old`);
}
