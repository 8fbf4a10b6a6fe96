import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { findLab } from "../../lab/find-lab.ts";
import type { FleetDocument } from "../../lab/fleet-document.ts";
import { findProcesses, type ProcessIdentity } from "../../lab/process-identity.ts";
import { CimCommand, type CimOptions, cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { tempDir } from "../support/temp-dir.ts";

/** `cim lab …` as a process of its own: what scripts and people see. With `--bare`: servers and links alone. */

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const disposable of open.splice(0).toReversed()) await disposable[Symbol.asyncDispose]();
});

async function folder(): Promise<string> {
  const dir = await tempDir("cim-lab-test-");
  open.push(dir);
  return dir.path;
}

function startLab(dir: string, args: readonly string[] = [], options: CimOptions = {}): CimCommand {
  const command = new CimCommand(["lab", "up", "--bare", "--dir", dir, ...args], options);
  open.push(command);
  return command;
}

async function runLab(dir: string, args: readonly string[] = []) {
  const command = startLab(dir, ["--json", ...args]);
  const line = await eventually(() => command.stdout.includes("\n") && command.stdout, { timeoutMs: 90_000 });
  return { command, fleet: JSON.parse(line) as FleetDocument };
}

/** Every process with this folder on its command line, but the lab's own. */
async function processesOf(dir: string): Promise<ProcessIdentity[]> {
  return await findProcesses((command) => command.some((word) => word.startsWith(`${dir}/`)));
}

describe("cim lab up", () => {
  it("prints one JSON line when all is ready, and leaves no process when it is told to end", async () => {
    const dir = await folder();
    const { command, fleet } = await runLab(dir);
    expect(fleet).toMatchObject({
      hub: {
        name: "hub",
        nats: expect.stringMatching(/^nats:\/\/127\.0\.0\.1:\d+$/),
        natsPid: expect.any(Number),
      },
      leaves: [
        { name: "leaf1", link: { condition: "up" } },
        { name: "leaf2", link: { condition: "up" } },
      ],
    });
    expect(await processesOf(dir)).toHaveLength(3);
    expect(await findLab(dir)).toEqual(fleet);
    command.child.kill("SIGINT");
    expect(await command.ended).toBe(0);
    expect(await processesOf(dir)).toEqual([]);
    expect(command.stdout.split("\n")).toHaveLength(2);
    expect(await findLab(dir)).toBeUndefined();
  });

  it("ends a fleet with a stopped server as well, and during its start", async () => {
    const dir = await folder();
    const { command, fleet } = await runLab(dir);
    process.kill(fleet.hub.natsPid as number, "SIGSTOP");
    command.child.kill("SIGTERM");
    expect(await command.ended).toBe(0);
    expect(await processesOf(dir)).toEqual([]);

    const early = startLab(dir);
    await eventually(async () => (await processesOf(dir)).length > 0, { everyMs: 2 });
    early.child.kill("SIGTERM");
    // 0: it was ready before it was told.
    expect([143, 0]).toContain(await early.ended);
    expect(await processesOf(dir)).toEqual([]);
  });

  it("tells a person what runs, what to try, and what happens", async () => {
    const dir = await folder();
    const command = startLab(dir, ["--leaves", "1"]);
    await eventually(() => command.stdout.includes("Ctrl-C"), { timeoutMs: 90_000 });
    expect(command.stdout).toContain("A hub and 1 leaf are ready.");
    expect(command.stdout).toMatch(/leaf1 {2}nats:\/\/127\.0\.0\.1:\d+ +http:\/\/127\.0\.0\.1:\d+ +up/);
    expect(command.stdout).not.toContain("\u001b");
    const [server] = await processesOf(join(dir, "leaf1"));
    process.kill(server?.pid as number, "SIGKILL");
    await eventually(() => /leaf1's nats-server ended \(by SIGKILL\)/.test(command.stdout));
  });

  it("started by npm, ends with npm's shell, which keeps signals to itself", async () => {
    const dir = await folder();
    const main = join(import.meta.dirname, "..", "..", "cli", "main.ts");
    const line = `"${process.execPath}" "${main}" lab up --bare --json --dir "${dir}"; true`;
    const env = { ...process.env, npm_lifecycle_event: "start" };
    const shell = spawn("/bin/sh", ["-c", line], { env, stdio: ["ignore", "pipe", "ignore"] });
    await once(shell.stdout, "data", { signal: AbortSignal.timeout(90_000) });
    shell.kill("SIGTERM");
    await eventually(async () => (await processesOf(dir)).length === 0);
    await eventually(async () => (await findLab(dir)) === undefined);
  });

  it("refuses a folder that a live lab owns, with its pid", async () => {
    const dir = await folder();
    const { command, fleet } = await runLab(dir, ["--leaves", "0"]);
    expect(fleet.pid).toBe(command.pid);
    const second = await cim(["lab", "up", "--bare", "--dir", dir]);
    expect(second.code).toBe(2);
    expect(second.stderr).toBe(
      `cim: a lab already runs in ${dir} (pid ${command.pid}): end it first, or choose another --dir\n`,
    );
  });

  it("takes over what a killed lab left running, and nothing else", async () => {
    const dir = await folder();
    const { command, fleet } = await runLab(dir);
    command.child.kill("SIGKILL");
    await command.ended;
    const left = await processesOf(dir);
    expect(left).toHaveLength(3);
    // A reader of the same file is no leftover; a pid that now means somebody else isn't either.
    const reader = new CimCommand(["lab", "up", "--bare", "--leaves", "0", "--dir", await folder()]);
    open.push(reader);
    const stateFile = join(dir, "lab.json");
    const state = JSON.parse(await readFile(stateFile, "utf8"));
    const leaf2 = state.nodes.find(({ name }: { name: string }) => name === "leaf2");
    process.kill(leaf2.nats.pid, "SIGKILL");
    leaf2.nats.pid = reader.pid;
    await writeFile(stateFile, JSON.stringify(state));

    const second = await runLab(dir);
    const taken = second.command.stderr.split("\n").filter((line) => line.includes("left by a lab"));
    expect(taken.toSorted()).toEqual([
      `ended hub's nats-server (pid ${fleet.hub.natsPid}), left by a lab that crashed`,
      `ended leaf1's nats-server (pid ${fleet.leaves[0]?.natsPid}), left by a lab that crashed`,
    ]);
    expect(reader.child.exitCode).toBeNull();
    expect(second.fleet.leaves.map(({ nats }) => nats)).toEqual(fleet.leaves.map(({ nats }) => nats));
    expect(await processesOf(dir)).toHaveLength(3);
  });
});

describe("telling a running lab", () => {
  it("does what is asked and returns when it is done", async () => {
    const dir = await folder();
    const { fleet } = await runLab(dir, ["--leaves", "1"]);
    const tell = async (...args: string[]) => {
      const { code, stdout, stderr } = await cim(["lab", ...args, "--dir", dir, "--json"]);
      expect(stderr).toBe("");
      expect(code).toBe(0);
      return JSON.parse(stdout);
    };
    expect(await tell("link", "leaf1", "delay=20ms")).toMatchObject({ condition: "delay=20ms" });
    expect(await tell("kill", "leaf1", "--what", "nats")).toMatchObject({ natsPid: null });
    expect(await processesOf(join(dir, "leaf1"))).toEqual([]);
    const started = await tell("start", "leaf1");
    expect(started.nats).toBe(fleet.leaves[0]?.nats);
    expect((await processesOf(join(dir, "leaf1"))).map(({ pid }) => pid)).toEqual([started.natsPid]);
    await tell("stop", "hub");
    await tell("cont", "hub");
    const added = await tell("add", "leaf9", "--region", "eu", "--capability", "gpu", "--capability", "tpm");
    expect(added).toMatchObject({ name: "leaf9", natsPid: expect.any(Number), link: { condition: "up" } });
    expect((await findLab(dir))?.leaves.map(({ name }) => name)).toEqual(["leaf1", "leaf9"]);
  });

  it("says what can't be done, in one line with its exit code", async () => {
    const dir = await folder();
    await runLab(dir, ["--leaves", "1"]);
    const refused = async (...args: string[]) => {
      const { code, stdout, stderr } = await cim(["lab", ...args]);
      expect(stdout).toBe("");
      return [code, stderr];
    };
    expect(await refused("link", "leaf7", "down", "--dir", dir)).toEqual([
      2,
      'cim: there is no node "leaf7" here: write one of hub, leaf1\n',
    ]);
    expect(await refused("link", "hub", "down", "--dir", dir)).toEqual([
      2,
      "cim: hub is not a leaf: write one of leaf1\n",
    ]);
    expect(await refused("link", "leaf1", "dwon", "--dir", dir)).toEqual([
      2,
      expect.stringMatching(/^cim: link condition "dwon" is not known; write one of up, down, [^\n]*\n$/),
    ]);
    await cim(["lab", "kill", "leaf1", "--dir", dir]);
    expect(await refused("stop", "leaf1", "--dir", dir)).toEqual([
      1,
      "cim: leaf1's server and daemon can't be stopped: nothing runs (cim lab start leaf1)\n",
    ]);
    const nowhere = await folder();
    expect(await refused("kill", "leaf1", "--dir", nowhere)).toEqual([
      1,
      `cim: no lab runs in ${nowhere}: start one with cim lab up\n`,
    ]);
  });
});

describe("a lab that can't start", () => {
  const oneLine = async (args: string[], options: CimOptions = {}) => {
    const dir = await folder();
    const { code, stdout, stderr } = await cim(
      ["lab", "up", "--json", "--dir", join(dir, "lab"), ...args],
      options,
    );
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^cim: [^\n]+\n$/);
    expect(await processesOf(dir)).toEqual([]);
    return stderr;
  };

  it("for its options", async () => {
    expect(await oneLine(["--leaves", "two leaves"])).toContain("--leaves");
    expect(await oneLine(["--leaves", "berlin,berlin"])).toContain('names "berlin" twice');
    expect(await oneLine(["--leaves", "-3"])).toContain("--leaves");
    expect(await oneLine(["--standby"])).toContain("--standby is not offered yet");
    expect(await oneLine(["--leafs", "3"])).toContain("--leafs");
  });

  it("for want of a nats-server", async () => {
    const bin = await folder();
    const old = join(bin, "nats-server");
    await writeFile(old, "#!/bin/sh\necho nats-server: v2.9.10\n");
    await chmod(old, 0o755);
    expect(await oneLine([], { env: { CIM_NATS_SERVER: old } })).toContain("2.9.10, older than 2.15.2");
    expect(await oneLine([], { env: { CIM_NATS_SERVER: join(bin, "missing") } })).toContain("missing");
  });

  it("for its folder", async () => {
    const dir = await folder();
    await writeFile(join(dir, "file"), "");
    expect(await oneLine(["--dir", join(dir, "file", "lab")])).toContain("cannot make the folder");
    await mkdir(join(dir, "other"));
    await writeFile(join(dir, "other", "lab.json"), '{"version": 7}');
    expect(await oneLine(["--dir", join(dir, "other")])).toContain("is not the state of a lab");
  });

  it("for nonsense in CIM_*", async () => {
    expect(await oneLine([], { env: { CIM_LOG_LEVEL: "loud" } })).toContain("CIM_LOG_LEVEL");
  });

  it("for a port that is taken under its feet", async () => {
    const dir = await folder();
    const { command, fleet } = await runLab(dir, ["--leaves", "1"]);
    await cim(["lab", "kill", "leaf1", "--dir", dir]);
    const { port } = new URL(fleet.leaves[0]?.nats ?? "");
    const holder = createServer().listen(Number(port), "127.0.0.1");
    try {
      const { code, stderr } = await cim(["lab", "start", "leaf1", "--dir", dir]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^cim: leaf1's nats-server ended [^\n]*address already in use[^\n]*\n$/);
    } finally {
      holder.close();
    }
    expect(command.child.exitCode).toBeNull();
  });
});
