import { readFile } from "node:fs/promises";
import { connect } from "@nats-io/transport-node";
import { afterEach, describe, expect, it } from "vitest";
import { Lab, type LabOptions } from "../../lab/lab.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { tempDir } from "../support/temp-dir.ts";

/** The lab with its daemons: a fleet that carries events. */

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const disposable of open.splice(0).toReversed()) await disposable[Symbol.asyncDispose]();
});

async function folder(): Promise<string> {
  const dir = await tempDir("cim-lab-test-");
  open.push(dir);
  return dir.path;
}

async function fleet(options: LabOptions): Promise<Lab> {
  const lab = await Lab.up(options);
  open.push(lab);
  return lab;
}

/** As any NATS client would, without credentials. */
async function publish(node: LabNode, aggregate: string): Promise<void> {
  const connection = await connect({ servers: node.natsUrl });
  try {
    await connection.request(`cim.events.person.${aggregate}.PersonCreated`, "{}", { timeout: 20_000 });
  } finally {
    await connection.close();
  }
}

/** The events' count in a node's log or copy, from its server's monitoring. */
async function countOf(node: LabNode, aggregate: string): Promise<number> {
  const connection = await connect({ servers: node.natsUrl });
  try {
    const body = JSON.stringify({ subjects_filter: `cim.events.person.${aggregate}.>` });
    const reply = await connection.request(`$JS.API.STREAM.INFO.${STREAM.events}`, body, { timeout: 20_000 });
    const info = reply.json<{ state?: { subjects?: Record<string, number> } }>();
    return Object.values(info.state?.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  } finally {
    await connection.close();
  }
}

async function isReady(node: LabNode): Promise<boolean> {
  return (await fetch(`${node.httpUrl}/readyz`)).ok;
}

describe("the lab's fleet", () => {
  it("is ready when up returns, and an event of any node reaches every other", async () => {
    const lab = await fleet({ dir: await folder(), leaves: 2 });
    const nodes = [lab.hub, ...lab.leaves];
    for (const node of nodes) await eventually(() => isReady(node), { what: `${node.name} ready` });
    for (const node of nodes) await publish(node, node.name);
    for (const reader of nodes) {
      for (const { name } of nodes) {
        await eventually(async () => (await countOf(reader, name)) === 1, {
          what: `${name}'s event on ${reader.name}`,
        });
      }
    }
  });

  it("ships what was written during a cut, after kills of either end, once", async () => {
    const lab = await fleet({ dir: await folder(), leaves: 1 });
    const leaf = lab.leaf("leaf1");
    await lab.link("leaf1").set({ state: "down" });
    await publish(leaf, "cut");
    await leaf.kill();
    await lab.hub.kill();
    await leaf.start();
    await eventually(() => isReady(leaf), { what: "a leaf that is ready without its hub" });
    await publish(leaf, "cut");
    await lab.hub.start();
    await lab.link("leaf1").set({ state: "up" });
    await eventually(async () => (await countOf(lab.hub, "cut")) === 2);
    await eventually(async () => (await countOf(leaf, "cut")) === 2);
  });

  it("takes in a new leaf, whose events the hub accepts", async () => {
    const lab = await fleet({ dir: await folder(), leaves: 0 });
    const coordinator = lab.hub.daemon?.pid;
    const berlin = await lab.addLeaf("berlin", { region: "eu", capabilities: ["gpu"] });
    expect(lab.hub.daemon?.pid).toBe(coordinator);
    await publish(berlin, "new");
    await eventually(async () => (await countOf(lab.hub, "new")) === 1);
    const known = await eventually(async () => {
      const reply = await fetch(`${lab.hub.httpUrl}/api/v1/nodes`);
      const { nodes } = (await reply.json()) as {
        nodes: { name: string; region: string; capabilities: string[] }[];
      };
      return nodes.find(({ name }) => name === "berlin");
    });
    expect(known).toMatchObject({ region: "eu", capabilities: ["gpu"] });
  });

  it("ends its daemons in order, and passes them CIM_*", async () => {
    const env = {
      ...process.env,
      CIM_LOG_LEVEL: "error",
      CIM_HTTP: "127.0.0.1:1",
      CIM_NATS_URL: "nats://127.0.0.1:1",
    };
    const lab = await fleet({ dir: await folder(), leaves: 1, env });
    const daemons = [lab.hub.daemon, lab.leaf("leaf1").daemon];
    await lab.close();
    expect(await Promise.all(daemons.map((daemon) => daemon?.ended))).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
    const said = await readFile(lab.leaf("leaf1").paths.daemonLog, "utf8");
    expect(said).not.toContain('"level":"info"');
  });

  it("runs daemons with the configuration that a test wants", async () => {
    const lab = await fleet({
      dir: await folder(),
      leaves: 1,
      configure: (document) =>
        document.role === "leaf" ? { ...document, sync: { ...document.sync, enabled: false } } : document,
    });
    await publish(lab.leaf("leaf1"), "alone");
    await eventually(async () => (await countOf(lab.hub, "alone")) === 1);
    const written = JSON.parse(await readFile(lab.leaf("leaf1").paths.config, "utf8"));
    expect(written.sync).toEqual({ enabled: false });
  });
});
