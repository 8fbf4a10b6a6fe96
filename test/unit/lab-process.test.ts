import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findLeftovers, nameByFiles } from "../../lab/leftovers.ts";
import { LabProcess } from "../../lab/process.ts";
import { bootId, endProcess, identify, isRunning, viewProcess } from "../../lab/process-identity.ts";
import type { LabState } from "../../lab/state.ts";
import { eventually } from "../support/eventually.ts";
import { withTempDir } from "../support/temp-dir.ts";

async function withProcess(script: string, body: (process: LabProcess) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const process = await LabProcess.start({
      label: "the sleeper",
      command: ["/bin/sh", "-c", script],
      cwd: dir,
      env: {},
      logFile: join(dir, "log"),
    });
    try {
      await body(process);
    } finally {
      await process.kill();
    }
  });
}

const sleeper = "while :; do sleep 1; done";

it("recognises a process by pid, start time and command line, not by its pid alone", async () => {
  await withProcess(sleeper, async ({ pid, identity }) => {
    expect(await identify(pid)).toEqual(identity);
    expect(await isRunning(identity)).toBe(true);
    expect(await isRunning({ ...identity, startTicks: identity.startTicks - 1 })).toBe(false);
    expect(await isRunning({ ...identity, command: ["nats-server"] })).toBe(false);
  });
});

it("stops, continues and kills", async () => {
  await withProcess(sleeper, async (process) => {
    await process.stop();
    expect((await viewProcess(process.pid))?.state).toBe("T");
    await process.cont();
    expect((await viewProcess(process.pid))?.state).not.toBe("T");
    expect(await process.kill()).toEqual({ code: null, signal: "SIGKILL" });
    expect(await isRunning(process.identity)).toBe(false);
    await expect(process.stop()).rejects.toThrow("the sleeper has ended, it can't stop");
  });
});

it("ends one that is stopped, and kills one that doesn't listen", async () => {
  await withProcess(sleeper, async (process) => {
    await process.stop();
    expect(await process.finish(5_000)).toEqual({ code: null, signal: "SIGTERM" });
  });
  await withProcess(`trap "" TERM; echo deaf; ${sleeper}`, async (process) => {
    await eventually(async () => (await process.lastLines(1))[0] === "deaf");
    expect(await process.finish(50)).toEqual({ code: null, signal: "SIGKILL" });
  });
});

it("ends a process that is not its child", async () => {
  await withProcess(`trap "" TERM; echo deaf; ${sleeper}`, async (process) => {
    await eventually(async () => (await process.lastLines(1))[0] === "deaf");
    await endProcess(process.identity, 100);
    expect(await isRunning(process.identity)).toBe(false);
  });
});

it("says which program can't be started", async () => {
  await withTempDir(async (dir) => {
    const init = { label: "leaf1's nats-server", cwd: dir, env: {}, logFile: join(dir, "log") };
    await expect(LabProcess.start({ ...init, command: [join(dir, "missing")] })).rejects.toThrow(
      /^cannot start leaf1's nats-server \(.*missing\): .*ENOENT/,
    );
  });
});

it("takes for a leftover what a lab started, not who has the same pid or reads the same file", async () => {
  const paths = {
    name: "leaf1",
    serverConfig: "/lab/leaf1/nats-server.conf",
    config: "/lab/leaf1/config.json",
  };
  expect(nameByFiles(["/usr/bin/nats-server", "-c", paths.serverConfig], [paths])?.label).toBe(
    "leaf1's nats-server",
  );
  expect(nameByFiles(["/n/node", "/x/agent/main.ts", "--config", paths.config], [paths])?.label).toBe(
    "leaf1's daemon",
  );
  expect(nameByFiles(["/n/node", "/x/cim-coordinator.js", "--config", paths.config], [paths])?.label).toBe(
    "leaf1's daemon",
  );
  expect(nameByFiles(["less", paths.serverConfig], [paths])).toBeUndefined();
  expect(nameByFiles(["vi", "-c", paths.serverConfig], [paths])).toBeUndefined();

  await withProcess(sleeper, async ({ identity }) => {
    const boot = await bootId();
    const state = (process: LabState["lab"], bootOf = boot): LabState => ({
      version: 1,
      bootId: bootOf,
      lab: null,
      control: null,
      nodes: [
        {
          name: "leaf1",
          role: "leaf",
          capabilities: [],
          included: true,
          ports: { nats: 1, monitor: 2, http: 3 },
          nats: process,
          daemon: null,
        },
      ],
    });
    expect(await findLeftovers(state(identity), boot, [])).toMatchObject([{ pid: identity.pid }]);
    const other = { ...identity, startTicks: identity.startTicks + 1 };
    expect(await findLeftovers(state(other), boot, [])).toEqual([]);
    expect(await findLeftovers(state(identity, "another boot"), boot, [])).toEqual([]);
  });
});

it("finds what was started but not yet written down, by its files", async () => {
  await withTempDir(async (dir) => {
    const paths = { name: "leaf1", serverConfig: join(dir, "nats-server.conf"), config: join(dir, "c.json") };
    await mkdir(join(dir, "agent"));
    await writeFile(join(dir, "agent", "main.ts"), "setInterval(() => {}, 1000);");
    const child = await LabProcess.start({
      label: "agent",
      command: [process.execPath, join(dir, "agent", "main.ts"), "--config", paths.config],
      cwd: dir,
      env: {},
      logFile: join(dir, "log"),
    });
    try {
      const state: LabState = { version: 1, bootId: await bootId(), lab: null, control: null, nodes: [] };
      const found = await findLeftovers(state, state.bootId, [paths]);
      expect(found).toMatchObject([{ pid: child.pid, label: "leaf1's daemon" }]);
    } finally {
      await child.kill();
    }
  });
});
