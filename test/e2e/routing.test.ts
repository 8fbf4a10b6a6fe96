import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import {
  type CimClient,
  type CommandToSend,
  connectCim,
  type Handling,
} from "../../shared/client/connect-cim.ts";
import { cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

/** Commands in a whole fleet, while its leaves come and go. One fleet for all tests, which go on from each other. */

const PATIENCE = { timeoutMs: 90_000, everyMs: 25 };
/** Of a try that is repeated: while a coordinator comes or goes, a command may be lost. */
const TIMEOUT = { timeoutMs: 5_000 };

let fleet: Fleet;
const clients = new Map<string, CimClient>();
/** What the handlers of a leaf did. */
const done = new Map<string, number>();

beforeAll(async () => {
  fleet = await Fleet.start({ leaves: 2 });
  for (const node of fleet.nodes) await client(node);
});

afterAll(async () => {
  for (const one of clients.values()) await one[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

async function client(node: LabNode): Promise<CimClient> {
  const made = await connectCim({ url: node.natsUrl });
  clients.set(node.name, made);
  return made;
}

const at = (node: string) => clients.get(node) as CimClient;
const handled = (node: string) => done.get(node) ?? 0;

function handle(node: string, command: string, work: () => unknown = () => ({ by: node })): Handling {
  return at(node).handle("orders", command, () => {
    done.set(node, handled(node) + 1);
    return work();
  });
}

/** Until somebody does it: a handler is known to the hub a moment after it was made. */
async function answered(from: string, command: Omit<CommandToSend, "domain">): Promise<string | undefined> {
  return await eventually(
    async () => (await at(from).command({ domain: "orders", ...command }, TIMEOUT)).node,
    PATIENCE,
  );
}

/** The coordinator goes by what their agents announce. */
async function announced(...nodes: string[]): Promise<void> {
  await eventually(async () => {
    const { candidates } = await route("domain=orders&command=Place");
    const fit = candidates.filter(({ excluded }) => excluded === null).map(({ node }) => node);
    return String(fit.sort()) === String(nodes);
  }, PATIENCE);
}

async function route(query: string) {
  const reply = await fetch(`${fleet.hub.httpUrl}/api/v1/routes?${query}`);
  return (await reply.json()) as {
    error?: string;
    chosen: string | null;
    refused: { reason: string } | null;
    candidates: { node: string; excluded: string | null; why: string }[];
  };
}

it("commands from any node are shared by the leaves that handle them", async () => {
  handle("leaf1", "Place");
  handle("leaf2", "Place");
  await announced("leaf1", "leaf2");
  const before = await fleet.metric(fleet.hub, "cim_route_decisions_total");
  for (const from of ["hub", "leaf1", "leaf2"]) {
    // A leaf whose heartbeat is late is passed over for a while: on a busy machine that is nobody's fault.
    const nodes = new Set<string | undefined>();
    await eventually(async () => nodes.add(await answered(from, { command: "Place" })).size === 2, PATIENCE);
    expect([...nodes].sort()).toEqual(["leaf1", "leaf2"]);
  }
  const decisions = (await fleet.metric(fleet.hub, "cim_route_decisions_total")) - before;
  expect(decisions).toBeGreaterThanOrEqual(6);
});

it("a leaf that is added to the running fleet is routed to", async () => {
  await expect(
    at("leaf1").command({ domain: "orders", command: "Paint", require: ["gpu"] }, { timeoutMs: 60_000 }),
  ).rejects.toMatchObject({ name: "CommandRefused", code: "no-capability" });
  const leaf3 = await fleet.lab.addLeaf("leaf3", { region: "eu", capabilities: ["gpu"] });
  await client(leaf3);
  handle("leaf3", "Paint");
  expect(await answered("leaf1", { command: "Paint", require: ["gpu"] })).toBe("leaf3");
});

it("cim route explains, cim command send sends, HTTP answers the same", async () => {
  const dir = join(fleet.dir, "lab");
  // What a leaf's programs handle is known to the hub a moment later.
  const right = (args: readonly string[]) =>
    eventually(async () => {
      const ended = await cim([...args, "--dir", dir]);
      expect(ended).toMatchObject({ code: 0, stderr: "" });
      return ended;
    }, PATIENCE);
  const explained = await right(["route", "orders", "Paint", "--require", "gpu", "--explain"]);
  expect(explained.stdout).toMatch(/^orders\.Paint goes to leaf3 \(round-robin\)$/m);
  expect(explained.stdout).toMatch(/leaf1 .*left out .*has not the capability gpu/);
  const json = await right(["route", "orders", "Paint", "--strategy", "location-aware", "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ chosen: "leaf3", strategy: "location-aware" });
  const refused = await cim(["route", "orders", "Paint", "--require", "tpm", "--dir", dir]);
  expect(refused).toMatchObject({ code: 1, stderr: "" });
  expect(refused.stdout).toBe("no leaf for orders.Paint: none has tpm; there are gpu\n");
  const wrong = await cim(["route", "orders", "Paint", "--strategy", "fastest", "--dir", dir]);
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(wrong.stderr).toBe(
    'cim: there is no strategy "fastest"; write round-robin, least-loaded, location-aware or capability-based\n',
  );
  await eventually(
    async () => (await route("domain=orders&command=Paint&require=gpu")).chosen === "leaf3",
    PATIENCE,
  );
  expect((await route("domain=orders&command=Paint&color=red")).error).toContain('no "color"');

  const paint = ["command", "send", "orders", "Paint", "--id", "paint-1"];
  const sent = await right([...paint, "--data", '{"colour":"red"}', "--node", "leaf1", "--json"]);
  expect(JSON.parse(sent.stdout)).toEqual({ id: "paint-1", node: "leaf3", answer: { by: "leaf3" } });
  const before = handled("leaf3");
  expect((await right(paint)).stdout).toBe('{"by":"leaf3"}\n');
  expect(handled("leaf3")).toBe(before);
  // So it is by a program that was started anew.
  await at("leaf3")[Symbol.asyncDispose]();
  await client(fleet.leaf("leaf3"));
  handle("leaf3", "Paint", () => ({ by: "another" }));
  expect((await right([...paint, "--data", '{"colour":"red"}'])).stdout).toBe('{"by":"leaf3"}\n');
  expect(handled("leaf3")).toBe(before);
  const send = (...args: string[]) => cim(["command", "send", "orders", ...args, "--dir", dir]);
  const nobody = await send("Nothing", "--require", "tpm");
  expect(nobody).toMatchObject({ code: 1, stdout: "" });
  expect(nobody.stderr).toBe("cim: no leaf for orders.Nothing: none has tpm; there are gpu\n");
  expect(await send("Paint", "--near", "the moon")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('near: "the moon" is no place'),
  });
  handle("leaf3", "Break", () => {
    throw new Error("no paint left");
  });
  const broken = await eventually(async () => {
    const ended = await send("Break");
    return ended.stderr.includes("no paint left") && ended;
  }, PATIENCE);
  expect(broken).toMatchObject({ code: 1, stdout: "", stderr: "cim: failed on leaf3: no paint left\n" });
  expect(await send("Paint", "--data", "{")).toMatchObject({ code: 2, stdout: "" });
});

it("an answer arrives though the coordinator was killed meanwhile; the next one routes on", async () => {
  const gate = Promise.withResolvers<string>();
  handle("leaf2", "Slow", () => gate.promise);
  const before = handled("leaf2");
  // The caller is on another leaf: nothing of the answer's way is the coordinator.
  const answer = eventually(
    async () =>
      await at("leaf1").command({ domain: "orders", command: "Slow", id: "slow-1" }, { timeoutMs: 300_000 }),
    PATIENCE,
  );
  await eventually(() => handled("leaf2") === before + 1, PATIENCE);
  await fleet.hub.kill("daemon");
  await expect(
    eventually(
      async () =>
        await at("leaf1")
          .command({ domain: "orders", command: "Place" }, TIMEOUT)
          .then(
            () => false,
            (error: unknown) => (error as { code?: string }).code === "no-coordinator",
          ),
      PATIENCE,
    ),
  ).resolves.toBe(true);
  gate.resolve("after all");
  expect((await answer).json()).toBe("after all");
  await fleet.hub.start("daemon");
  expect(await answered("leaf1", { command: "Paint", require: ["gpu"] })).toBe("leaf3");
});

it.each(["each", "kept"] as const)("who waits for a program that ended is told: route %s", async (how) => {
  let taken = 0;
  const program = await connectCim({ url: fleet.leaf("leaf2").natsUrl });
  program.handle("orders", "Die", () => {
    taken += 1;
    return new Promise(() => {});
  });
  // From another leaf, and from the program's own.
  const told = ["leaf1", "leaf2"].map((from) =>
    eventually(
      async () =>
        await at(from)
          .command({ domain: "orders", command: "Die" }, { timeoutMs: 300_000, route: how })
          .then(
            () => "answered",
            (error: { code: string; node?: string }) =>
              error.code === "handler-gone" && `ended on ${error.node}`,
          ),
      PATIENCE,
    ),
  );
  const inFlight = () => fleet.metric(fleet.hub, "cim_commands_in_flight");
  await eventually(async () => taken === 2 && (how === "kept" || (await inFlight()) >= 2), PATIENCE);
  await program.close();
  expect(await Promise.all(told)).toEqual(["ended on leaf2", "ended on leaf2"]);
});

it("a killed leaf's callers are told at once, and it gets no more commands", async () => {
  handle("leaf2", "Hang", () => new Promise(() => {}));
  const before = handled("leaf2");
  const hanging = eventually(
    async () =>
      await at("leaf1")
        .command({ domain: "orders", command: "Hang" }, { timeoutMs: 300_000 })
        .then(
          () => "answered",
          (error: { code: string; node?: string }) => error.code === "node-gone" && `gone with ${error.node}`,
        ),
    PATIENCE,
  );
  await eventually(() => handled("leaf2") > before, PATIENCE);
  await announced("leaf1", "leaf2");
  await fleet.leaf("leaf2").kill();
  expect(await hanging).toBe("gone with leaf2");
  // From the moment on that its callers were told.
  for (let n = 0; n < 10; n++) expect(await answered("hub", { command: "Place" })).toBe("leaf1");
  const { candidates } = await route("domain=orders&command=Place");
  expect(candidates.find(({ node }) => node === "leaf2")?.excluded).toBe("not-up");
});
