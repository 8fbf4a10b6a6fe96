import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";

const run = promisify(execFile);
let made = 0;

/** Machines with networks of their own: Linux' network namespaces, joined by cables. Takes root. */
export class NetworkNamespaces implements AsyncDisposable {
  readonly #prefix = `cim${process.pid}x${++made}`;
  readonly #names = new Set<string>();
  readonly #processes: ChildProcessByStdio<Writable, Readable, null>[] = [];
  #cables = 0;

  /** Whether they can be made here. */
  static async arePossible(): Promise<boolean> {
    await using one = new NetworkNamespaces();
    try {
      await one.cable(["a", "10.77.0.1/24"], ["b", "10.77.0.2/24"]);
      return true;
    } catch {
      return false;
    }
  }

  /** Joins two machines, each with these addresses at its end: `[machine, "10.77.1.1/24", …]`. Makes them where they are not. */
  async cable(one: readonly [string, ...string[]], other: readonly [string, ...string[]]): Promise<void> {
    const [end, otherEnd] = [`c${++this.#cables}`, `d${this.#cables}`];
    for (const [machine] of [one, other]) await this.#make(machine);
    const [here, there] = [this.#nameOf(one[0]), this.#nameOf(other[0])];
    await run("ip", [
      "-n",
      here,
      "link",
      "add",
      end,
      "type",
      "veth",
      "peer",
      "name",
      otherEnd,
      "netns",
      there,
    ]);
    await this.#address(here, end, one.slice(1));
    await this.#address(there, otherEnd, other.slice(1));
  }

  /** Starts a program of this checkout on a machine. Ends with the machines; its stdin ends with this process. */
  start(machine: string, script: string, ...args: string[]): ChildProcessByStdio<Writable, Readable, null> {
    const command = ["netns", "exec", this.#nameOf(machine), process.execPath, script, ...args];
    const child = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#processes.push(child);
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    // Cables go with their ends.
    for (const name of this.#names) await run("ip", ["netns", "del", name]);
    this.#names.clear();
  }

  #nameOf(machine: string): string {
    return `${this.#prefix}${machine}`;
  }

  async #make(machine: string): Promise<void> {
    const name = this.#nameOf(machine);
    if (this.#names.has(name)) return;
    await run("ip", ["netns", "add", name]);
    this.#names.add(name);
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
  }

  async #address(name: string, end: string, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await run("ip", ["-n", name, "addr", "add", address, "dev", end]);
    await run("ip", ["-n", name, "link", "set", end, "up"]);
    // Packets of foreign addresses are to arrive: who is to pass over them is not the kernel.
    for (const one of ["all", end]) {
      const key = `net.ipv4.conf.${one}.rp_filter=0`;
      await run("ip", ["netns", "exec", name, "sysctl", "-qw", key]);
    }
  }
}
