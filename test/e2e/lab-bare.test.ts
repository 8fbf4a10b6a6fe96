import { createServer } from "node:net";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, describe, expect, it } from "vitest";
import { Lab, type LabOptions } from "../../lab/lab.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import { parseLinkCondition } from "../../lab/link-condition.ts";
import { findProcesses, isRunning } from "../../lab/process-identity.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { eventually } from "../support/eventually.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** The lab without daemons: servers and links alone. */

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const disposable of open.splice(0).toReversed()) await disposable[Symbol.asyncDispose]();
});

async function folder(): Promise<string> {
  const dir: TempDir = await tempDir("cim-lab-test-");
  open.push(dir);
  return dir.path;
}

async function bareLab(options: LabOptions): Promise<Lab> {
  const lab = await Lab.up({ daemons: false, ...options });
  open.push(lab);
  return lab;
}

async function connect(node: LabNode): Promise<NatsConnection> {
  const seedFile = join(node.paths.data, "agent.nk");
  const connection = await connectNats({
    url: node.natsUrl,
    name: "test",
    seedFile,
    inboxPrefix: inboxPrefix(node.name),
  });
  open.push({ [Symbol.asyncDispose]: () => connection.close() });
  return connection;
}

/** Whether the hub's server counts a link of this leaf. */
async function isLinked(lab: Lab, leaf: string): Promise<boolean> {
  const reply = await fetch(`${lab.hub.monitorUrl}/leafz`);
  const { leafs = [] } = (await reply.json()) as { leafs?: { name: string }[] };
  return leafs.some(({ name }) => name === leaf);
}

describe("a fleet", () => {
  it("is up with every leaf linked, and goes on with its data on the same ports", async () => {
    const dir = await folder();
    const first = await bareLab({ dir });
    expect(first.document.leaves.map(({ name }) => name)).toEqual(["leaf1", "leaf2"]);
    expect(await isLinked(first, "leaf1")).toBe(true);
    expect(await isLinked(first, "leaf2")).toBe(true);
    const { hub, leaves } = first.document;
    const jsm = await jetstreamManager(await connect(first.leaf("leaf1")));
    await jsm.streams.add({ name: "KEEP", subjects: ["keep.>"] });
    await jsm.jetstream().publish("keep.this", "what was written");
    const processes = [first.hub, ...first.leaves].map(({ nats }) => nats?.identity);
    await first.close();
    for (const identity of processes) expect(identity && (await isRunning(identity))).toBe(false);

    const second = await bareLab({ dir });
    expect(second.document.hub.nats).toBe(hub.nats);
    expect(second.document.leaves.map(({ nats, link }) => [nats, link])).toEqual(
      leaves.map(({ nats, link }) => [nats, link]),
    );
    const again = await jetstreamManager(await connect(second.leaf("leaf1")));
    expect((await again.streams.getMessage("KEEP", { seq: 1 }))?.string()).toBe("what was written");
  });

  it("runs beside another in another folder, and not twice in one", async () => {
    const [dir, other] = [await folder(), await folder()];
    const labs = await Promise.all([bareLab({ dir, leaves: 1 }), bareLab({ dir: other, leaves: 1 })]);
    const ports = labs.flatMap((lab) =>
      [lab.hub, ...lab.leaves].flatMap((node) => Object.values(node.ports)),
    );
    expect(new Set(ports).size).toBe(ports.length);
    await expect(bareLab({ dir })).rejects.toMatchObject({
      message: expect.stringContaining(`a lab already runs in ${dir} (pid ${process.pid})`),
      exitCode: 2,
    });
    expect(await isLinked(labs[0], "leaf1")).toBe(true);
  });

  it("chooses another port where the remembered one is taken", async () => {
    const dir = await folder();
    const first = await bareLab({ dir, leaves: 1 });
    const { nats } = first.leaf("leaf1").ports;
    await first.close();
    const holder = createServer().listen(nats, "127.0.0.1");
    const notices: string[] = [];
    try {
      const second = await bareLab({ dir, onNotice: (line) => notices.push(line) });
      expect(second.leaf("leaf1").ports.nats).not.toBe(nats);
      expect(notices).toContainEqual(expect.stringMatching(/\d of the ports used before are taken/));
    } finally {
      holder.close();
    }
  });

  it("takes in a new leaf while it runs, and keeps it", async () => {
    const dir = await folder();
    const lab = await bareLab({ dir, leaves: 1 });
    const hubPid = lab.hub.nats?.pid;
    await lab.addLeaf("berlin", { region: "eu", capabilities: ["gpu"] });
    expect(await isLinked(lab, "berlin")).toBe(true);
    expect(lab.hub.nats?.pid).toBe(hubPid);
    await expect(lab.addLeaf("berlin")).rejects.toThrow(/there is a node "berlin" already/);
    await lab.close();
    const again = await bareLab({ dir });
    expect(again.leaves.map(({ name }) => name)).toEqual(["leaf1", "berlin"]);
    expect(again.leaf("berlin").state).toMatchObject({ region: "eu", capabilities: ["gpu"] });
  });

  it("leaves nothing running when one of its servers can't start", async () => {
    const dir = await folder();
    const configureServer = (text: string, { name }: { name: string }) =>
      name === "leaf2" ? text.replace(/^listen: .*$/m, 'listen: "127.0.0.1:1"\nnonsense {') : text;
    await expect(bareLab({ dir, configureServer })).rejects.toMatchObject({
      message: expect.stringMatching(/^leaf2's nats-server ended \(exit code 1\): Parse error [^\n]*$/),
      exitCode: 2,
    });
    // Nothing is left: the same folder starts at once, without anything to take over.
    const notices: string[] = [];
    await bareLab({ dir, onNotice: (line) => notices.push(line) });
    expect(notices.filter((line) => line.includes("left by a lab"))).toEqual([]);
  });
});

describe("the end of a lab", () => {
  it("comes at whatever moment of the start it is told to, and leaves nothing", async () => {
    const dir = await folder();
    for (let delayMs = 0; delayMs < 300; delayMs += 30) {
      const ending = new AbortController();
      const timer = setTimeout(() => ending.abort(), delayMs);
      const lab = await bareLab({ dir, signal: ending.signal }).catch(() => undefined);
      clearTimeout(timer);
      await lab?.close();
      expect(await findProcesses((command) => command.some((word) => word.startsWith(`${dir}/`)))).toEqual(
        [],
      );
    }
    const notices: string[] = [];
    await bareLab({ dir, onNotice: (line) => notices.push(line) });
    expect(notices.filter((line) => line.includes("left by a lab"))).toEqual([]);
  });
});

describe("a server of the fleet", () => {
  it("is killed, stays dead, and is started on its port with its link", async () => {
    const notices: string[] = [];
    const lab = await bareLab({ dir: await folder(), leaves: 1, onNotice: (line) => notices.push(line) });
    const leaf = lab.leaf("leaf1");
    const before = leaf.nats?.identity;
    await leaf.kill("nats");
    expect(leaf.nats).toBeUndefined();
    expect(before && (await isRunning(before))).toBe(false);
    await eventually(async () => !(await isLinked(lab, "leaf1")));
    expect(lab.document.leaves[0]?.natsPid).toBeNull();
    await leaf.start("nats");
    await connect(leaf);
    await eventually(() => isLinked(lab, "leaf1"));
    expect(notices.filter((line) => line.includes("ended"))).toEqual([]);
  });

  it("that ends by another hand is told of once, and not restarted", async () => {
    const notices: string[] = [];
    const lab = await bareLab({ dir: await folder(), leaves: 1, onNotice: (line) => notices.push(line) });
    process.kill(lab.leaf("leaf1").nats?.pid as number, "SIGKILL");
    const told = () => notices.filter((line) => line.startsWith("leaf1's nats-server ended (by SIGKILL)"));
    await eventually(() => told().length > 0);
    expect(told()).toHaveLength(1);
    expect(lab.leaf("leaf1").nats).toBeUndefined();
  });

  it("that can't have its port says so in one line", async () => {
    const lab = await bareLab({ dir: await folder(), leaves: 1 });
    const leaf = lab.leaf("leaf1");
    await leaf.kill("nats");
    const holder = createServer().listen(leaf.ports.nats, "127.0.0.1");
    try {
      await expect(leaf.start("nats")).rejects.toThrow(
        /^leaf1's nats-server ended \(exit code 1\): [^\n]*address already in use[^\n]*$/,
      );
    } finally {
      holder.close();
    }
  });

  it("is stopped and goes on", async () => {
    const lab = await bareLab({ dir: await folder(), leaves: 1 });
    await lab.hub.stop("nats");
    await expect(fetch(`${lab.hub.monitorUrl}/varz`, { signal: AbortSignal.timeout(200) })).rejects.toThrow();
    await lab.hub.cont("nats");
    await eventually(() => isLinked(lab, "leaf1"));
    await lab.hub.stop("nats");
    // and a lab with a stopped server ends all the same (in the disposal)
  });
});

describe("a link", () => {
  it("down: the hub sees it go; up: the leaf is back", async () => {
    const lab = await bareLab({ dir: await folder(), leaves: 2 });
    await lab.link("leaf1").set({ state: "down" });
    await eventually(async () => !(await isLinked(lab, "leaf1")));
    expect(await isLinked(lab, "leaf2")).toBe(true);
    await lab.link("leaf1").set({ state: "up" });
    await eventually(() => isLinked(lab, "leaf1"));
  });

  it("blackhole: the servers find out by their pings, and are linked again when it ends", async () => {
    const lab = await bareLab({ dir: await folder(), leaves: 1 });
    await lab.link("leaf1").set({ state: "blackhole" });
    await eventually(async () => !(await isLinked(lab, "leaf1")), { timeoutMs: 90_000 });
    await lab.link("leaf1").set({ state: "up" });
    await eventually(() => isLinked(lab, "leaf1"));
  });

  it("carries messages between nodes, late when it is slow, and counts their bytes", async () => {
    const lab = await bareLab({ dir: await folder(), leaves: 1 });
    const [hub, leaf] = [await connect(lab.hub), await connect(lab.leaf("leaf1"))];
    hub.subscribe("cim.coordinator.leaf1.echo", {
      callback: (_, message) => void message.respond(message.data),
    });
    await hub.flush();
    const ask = async () =>
      (await leaf.request("cim.coordinator.leaf1.echo", "x".repeat(10_000), { timeout: 20_000 })).string()
        .length;
    await eventually(ask, { what: "the hub's echo" });
    const before = lab.link("leaf1").bytes.toHub;
    await lab.link("leaf1").set(parseLinkCondition("delay=100ms"));
    const startMs = performance.now();
    expect(await ask()).toBe(10_000);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(199);
    expect(lab.link("leaf1").bytes.toHub).toBeGreaterThan(before);
  });
});
