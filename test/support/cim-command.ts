import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const ENTRY = join(import.meta.dirname, "..", "..", "cli", "main.ts");

export interface CimOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** A running `cim …`, from the sources. */
export class CimCommand implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Its exit code, or the signal that ended it, when it is gone and its output is complete. */
  readonly ended: Promise<number | NodeJS.Signals>;
  stdout = "";
  stderr = "";

  constructor(args: readonly string[], options: CimOptions = {}) {
    this.child = spawn(process.execPath, [ENTRY, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    this.child.stdout?.on("data", (chunk) => {
      this.stdout += String(chunk);
    });
    this.child.stderr?.on("data", (chunk) => {
      this.stderr += String(chunk);
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("close", (code, signal) => resolve(signal ?? code ?? -1));
    });
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** Asks it to end and waits; kills it after 60 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    const force = setTimeout(() => this.child.kill("SIGKILL"), 60_000);
    this.child.kill("SIGTERM");
    await this.ended;
    clearTimeout(force);
  }
}

/** Runs `cim …` to its end. */
export async function cim(args: readonly string[], options: CimOptions = {}) {
  const command = new CimCommand(args, options);
  const code = await command.ended;
  return { code, stdout: command.stdout, stderr: command.stderr };
}
