import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import type { FleetNode } from "../../coordinator/fleet/fleet-node.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

/** One fleet for all that follows: each test leaves it as it found it. */
let fleet: Fleet;

beforeAll(async () => {
  fleet = await Fleet.start({ leaves: 2 });
  return () => fleet[Symbol.asyncDispose]();
});

async function nodes(): Promise<FleetNode[]> {
  const reply = await fetch(`${fleet.hub.httpUrl}/api/v1/nodes`, { signal: AbortSignal.timeout(5_000) });
  return ((await reply.json()) as { nodes: FleetNode[] }).nodes;
}

async function node(name: string): Promise<FleetNode> {
  const found = (await nodes()).find((one) => one.name === name);
  if (!found) throw new Error(`the coordinator does not know ${name}`);
  return found;
}

/** Waits for a node's health; gives it, and every state that was seen on the way. */
async function becomes(name: string, state: string, part: string | null = null) {
  const seen = new Set<string>();
  const health = await eventually(
    async () => {
      const { health } = await node(name);
      seen.add(health.state);
      if (health.state !== state || health.part !== part) throw new Error(JSON.stringify(health));
      return health;
    },
    { timeoutMs: 60_000, everyMs: 20, what: `${name} ${state} ${part ?? ""}` },
  );
  return { health, seen };
}

/** Listens to the coordinator's events; gives a node's states as they were told. */
async function listen(): Promise<(name: string) => string[]> {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const reply = await fetch(`${fleet.hub.httpUrl}/api/v1/events`, { signal: abort.signal });
  let text = "";
  const read = async () => {
    for await (const part of reply.body?.pipeThrough(new TextDecoderStream()) ?? []) text += part;
  };
  read().catch(() => {});
  return (name) =>
    [...text.matchAll(/^event: node-health\ndata: (.+)$/gm)]
      .map(([, data]) => JSON.parse(data as string) as { node: string; health: FleetNode["health"] })
      .filter(({ node }) => node === name)
      .map(({ health }) => (health.part === null ? health.state : `${health.state} ${health.part}`));
}

/** Whom the registry has, as any program may read it. */
async function recorded(): Promise<string[]> {
  const nc = await connect({ servers: fleet.hub.natsUrl });
  try {
    const bucket = await new Kvm(nc).open("CIM_NODES");
    return await Array.fromAsync(await bucket.keys());
  } finally {
    await nc.close();
  }
}

it("tells a dead agent, a dead server and a cut link apart, with evidence", async () => {
  const leaf = fleet.leaf("leaf1");
  await becomes("leaf1", "up");
  const told = await listen();

  await leaf.kill("daemon");
  const dead = await becomes("leaf1", "down", "agent");
  expect(dead.health.checks).toMatchObject({ link: "up", agent: "silent", server: "answers" });
  expect(dead.health.evidence.join()).toContain("its server answers, its agent does not");
  await leaf.start("daemon");
  await becomes("leaf1", "up");

  await leaf.finish("daemon");
  await eventually(async () => (await node("leaf1")).health.checks.agent === "goodbye", {
    timeoutMs: 60_000,
    what: "a goodbye",
  });
  expect((await node("leaf1")).health).toMatchObject({ state: "down", part: "agent" });
  await leaf.start("daemon");
  await becomes("leaf1", "up");

  await leaf.kill("nats");
  const serverless = await becomes("leaf1", "down", "server");
  expect(serverless.health.checks).toMatchObject({ link: "down", probe: "refused" });
  await leaf.start("nats");
  await becomes("leaf1", "up");
  // In this order; in between others may be told, as a doubt or an unreachable on the way.
  const wanted = ["down agent", "up", "down agent", "up", "down server", "up"];
  await eventually(
    () => {
      let at = 0;
      for (const state of told("leaf1")) if (state === wanted[at]) at += 1;
      return at === wanted.length;
    },
    { timeoutMs: 60_000, what: "live events of all that" },
  );
});

it("never calls a node down that a black hole hides", async () => {
  const link = fleet.lab.link("leaf2");
  await becomes("leaf2", "up");
  await link.set({ state: "blackhole" });
  const hidden = await becomes("leaf2", "unreachable");
  expect(hidden.seen).not.toContain("down");
  // Until its link is closed as stale, and beyond.
  const closed = await eventually(
    async () => {
      const { health } = await node("leaf2");
      expect(health.state).toBe("unreachable");
      return health.checks.link === "down";
    },
    { timeoutMs: 60_000, what: "a link that is closed" },
  );
  expect(closed).toBe(true);
  await link.set({ state: "up" });
  await becomes("leaf2", "up");
});

it("shows the same fleet after the coordinator was killed, and nobody up who went meanwhile", async () => {
  const identity = ({ name, role, region, capabilities, version, contracts, firstSeen }: FleetNode) => ({
    name,
    role,
    region,
    capabilities,
    version,
    contracts,
    firstSeen,
  });
  await becomes("leaf1", "up");
  await becomes("leaf2", "up");
  const before = (await nodes()).map(identity);
  await eventually(async () => (await recorded()).length === 3, {
    timeoutMs: 60_000,
    what: "records of all",
  });
  await fleet.hub.kill("daemon");
  await fleet.leaf("leaf2").kill();
  onTestFinished(() => fleet.leaf("leaf2").start());
  await fleet.hub.start("daemon");
  const { seen } = await becomes("leaf2", "down", "server");
  expect(seen).not.toContain("up");
  await becomes("leaf1", "up");
  expect((await nodes()).map(identity)).toEqual(before);
});
