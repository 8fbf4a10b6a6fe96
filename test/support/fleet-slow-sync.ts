import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { eventually } from "./eventually.ts";

/** One sync of a file, times in ms since the epoch. */
export interface Sync {
  readonly path: string;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** Delays every fsync of a running process by strace, and tells which there were. */
export class SlowSync implements AsyncDisposable {
  readonly #strace: ChildProcess;
  readonly #output: string;
  readonly #ended: Promise<void>;

  private constructor(strace: ChildProcess, output: string) {
    this.#strace = strace;
    this.#output = output;
    this.#ended = new Promise((resolve) => {
      strace.once("close", () => resolve());
    });
  }

  /** Returns when every sync is delayed; undefined: there is no strace here, or it may not look at processes. */
  static async of(pid: number, delayMs: number, output: string): Promise<SlowSync | undefined> {
    const inject = `inject=fsync,fdatasync:delay_enter=${delayMs * 1000}`;
    const args = ["-f", "-y", "-ttt", "-T", "-e", "trace=fsync,fdatasync", "-e", inject];
    const strace = spawn("strace", [...args, "-o", output, "-p", String(pid)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    let gone = false;
    strace.stderr.on("data", (chunk) => {
      said += String(chunk);
    });
    strace.once("error", () => {
      gone = true;
    });
    strace.once("close", () => {
      gone = true;
    });
    const slow = new SlowSync(strace, output);
    await eventually(() => gone || /attached/.test(said), { what: "strace at work" });
    return gone ? undefined : slow;
  }

  /** The syncs that have ended, oldest first. */
  async syncs(): Promise<Sync[]> {
    const syncs: Sync[] = [];
    const open = new Map<string, { path: string; beganMs: number }>();
    for (const line of (await readFile(this.#output, "utf8")).split("\n")) {
      const [, thread = "", at = ""] = /^(\d+) +(\d+\.\d+) /.exec(line) ?? [];
      const path = /(?:fsync|fdatasync)\(\d+<([^>]*)>/.exec(line)?.[1];
      const tookMs = Number(/<(\d+\.\d+)>$/.exec(line)?.[1]) * 1000;
      const atMs = Number(at) * 1000;
      if (path !== undefined && line.includes("<unfinished")) open.set(thread, { path, beganMs: atMs });
      else if (path !== undefined && tookMs) syncs.push({ path, beganMs: atMs, endedMs: atMs + tookMs });
      else if (line.includes("resumed>") && tookMs) {
        const begun = open.get(thread);
        if (begun) syncs.push({ ...begun, endedMs: begun.beganMs + tookMs });
      }
    }
    return syncs;
  }

  /** Lets the process go; returns when it is at its usual pace. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#strace.kill("SIGINT");
    await this.#ended;
  }
}
