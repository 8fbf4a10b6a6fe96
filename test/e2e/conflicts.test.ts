import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { JournalledConflict } from "../../coordinator/conflicts/conflict-record.ts";
import { Lab } from "../../lab/lab.ts";
import { type AggregateState, type CimClient, connectCim } from "../../shared/client/connect-cim.ts";
import { readState } from "../../shared/follow/read-state.ts";
import { cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** Two leaves edit the same aggregates for a simulated day offline, their clocks three minutes apart, and meet. */

const MINUTE_MS = 60_000;
const HALF_HOUR_MS = 30 * MINUTE_MS;
const HALF_HOURS = 48;
const APART_MS = 3 * MINUTE_MS;

let dir: TempDir;
let lab: Lab;
const clients: CimClient[] = [];

beforeAll(async () => {
  dir = await tempDir("cim-conflicts-test-");
  lab = await Lab.up({
    dir: join(dir.path, "lab"),
    leaves: 2,
    contracts: { sheet: { resolver: "vector-clock" } },
  });
  for (const { natsUrl } of [lab.hub, ...lab.leaves]) clients.push(await connectCim({ url: natsUrl }));
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await lab?.close();
  await dir?.[Symbol.asyncDispose]();
});

type Person = Readonly<Record<string, unknown>>;

/** The state that every node has come to, none of it provisional. */
async function everywhere(
  domain: string,
  aggregate: string,
  isDone: (state: AggregateState<Person>) => boolean,
): Promise<AggregateState<Person>> {
  return await eventually(
    async () => {
      const states = await Promise.all(clients.map((one) => one.state<Person>(domain, aggregate)));
      const [first] = states as [AggregateState<Person>];
      const same = ({ value, deleted, siblings, position }: AggregateState<Person>) =>
        JSON.stringify({ value, deleted, siblings, position });
      for (const state of states) {
        if (state.provisional > 0 || same(state) !== same(first) || !isDone(state))
          throw new Error(`not yet: ${states.map((one) => JSON.stringify(one).slice(0, 1_000)).join("\n")}`);
      }
      return first;
    },
    { timeoutMs: 120_000, what: `one state of ${domain}.${aggregate} everywhere` },
  );
}

const run = (...args: string[]) => cim([...args, "--dir", lab.dir]);
async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect(code, stderr).toBe(0);
  return stdout;
}
async function conflictsOf(domain: string, aggregate: string): Promise<JournalledConflict[]> {
  const said = await done(
    "conflicts",
    "list",
    "--domain",
    domain,
    "--aggregate",
    aggregate,
    "--limit",
    "1000",
    "--json",
  );
  return (JSON.parse(said) as { conflicts: JournalledConflict[] }).conflicts;
}

/** The journal is complete up to what is folded: it is written before. */
async function noted(
  domain: string,
  aggregate: string,
  position: string | null,
): Promise<JournalledConflict[]> {
  const nc = await connect({ servers: lab.hub.natsUrl });
  try {
    await eventually(
      async () => {
        const read = await readState(nc, domain, aggregate);
        return read.kind === "found" && read.state.log === position;
      },
      { timeoutMs: 120_000, what: `the hub's state of ${domain}.${aggregate} at ${position}` },
    );
  } finally {
    await nc.close();
  }
  return await conflictsOf(domain, aggregate);
}

async function offline(work: () => Promise<void>): Promise<void> {
  for (const name of ["leaf1", "leaf2"]) await lab.link(name).set({ state: "down" });
  await work();
  for (const name of ["leaf1", "leaf2"]) await lab.link(name).set({ state: "up" });
}

/** An editor on a leaf, by whose clock it is what the test says. */
async function editor(name: string, aheadMs: number) {
  let nowMs = 0;
  const client = await connectCim({ url: lab.leaf(name).natsUrl, nowMs: () => nowMs + aheadMs });
  return {
    at(ms: number) {
      nowMs = ms;
    },
    async change(domain: string, data: unknown) {
      const { version } = await client.state(domain, "ada");
      await client.append({ domain, aggregate: "ada", type: "Changed", data, seen: version });
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

it("a day apart: the same state everywhere, each loss explained, and what is reinstated wins everywhere", async () => {
  const startMs = Date.now() - HALF_HOURS * HALF_HOUR_MS;
  await offline(async () => {
    await using one = await editor("leaf1", 0);
    await using two = await editor("leaf2", APART_MS);
    for (let n = 0; n <= HALF_HOURS; n++) {
      for (const each of [one, two]) each.at(startMs + n * HALF_HOUR_MS);
      await one.change("person", { note: `one ${n}`, [`one${n % 5}`]: n });
      await two.change("person", { note: `two ${n}`, [`two${n % 5}`]: n });
      if (n === 10)
        await one.change("person", { phone: "1", lang: "en", city: { name: "Bonn", zip: "53111" } });
      if (n === 20) await two.change("person", { phone: null, lang: "en", city: { name: "Rome" } });
      if (n === 46) await one.change("person", { photo: "x".repeat(1_000_000) });
      if (n === 47) await two.change("person", { photo: "none" });
      if (n === 40) await one.change("person", { city: { name: "Oslo" } });
    }
  });
  const met = await everywhere("person", "ada", ({ value }) => value?.one3 === 48 && value?.two3 === 48);
  // By the time that each had on its clock, and of what one of them alone wrote its own.
  expect(met.value).toMatchObject({
    note: "two 48",
    lang: "en",
    photo: "none",
    city: { name: "Oslo", zip: "53111" },
    one4: 44,
  });
  expect(met.value).not.toHaveProperty("phone");

  const conflicts = await noted("person", "ada", met.position);
  // What a leaf had in the end, and what is not in the state, is in the journal.
  const lost = new Set(
    conflicts.map(({ path, loser }) => `${path.join(".")}=${JSON.stringify(loser?.value)}`),
  );
  for (const one of ['note="one 48"', 'phone="1"', 'city.name="Rome"']) expect(lost).toContain(one);
  expect(
    conflicts.every(({ certain, why, resolution }) => certain && why !== "" && resolution === null),
  ).toBe(true);
  // Who wrote the same has lost nothing, and nobody lost what he overwrote himself.
  expect(conflicts.filter(({ path }) => path.join(".") === "lang")).toEqual([]);
  expect(conflicts.filter(({ winner, loser }) => winner?.node === loser?.node)).toEqual([]);

  const note = conflicts.find(({ loser }) => loser?.value === "one 48");
  expect(note).toMatchObject({ kind: "lost", winner: { node: "leaf2" }, loser: { node: "leaf1" } });
  expect(await done("conflicts", "show", String(note?.id))).toContain(
    '"one 48" by leaf1 is kept in this journal only',
  );
  await done("conflicts", "reinstate", String(note?.id));
  const back = await everywhere("person", "ada", ({ value }) => value?.note === "one 48");
  expect(back.value).toEqual({ ...met.value, note: "one 48" });

  // The journal has no room for it, and its event has it.
  const photo = conflicts.find(({ path }) => path.join(".") === "photo");
  expect(photo?.loser).toMatchObject({ node: "leaf1", cutBytes: 1_000_002 });
  await done("conflicts", "reinstate", String(photo?.id));
  await everywhere("person", "ada", ({ value }) => String(value?.photo).length === 1_000_000);

  // On a leaf, by a value of somebody's own.
  const city = conflicts.find(({ path, loser }) => path.join(".") === "city.name" && loser?.value === "Rome");
  const written = await done(
    "conflicts",
    "resolve",
    String(city?.id),
    "--data",
    '"Bern"',
    "--node",
    "leaf2",
    "--json",
  );
  expect(JSON.parse(written)).toMatchObject({ node: "leaf2", how: "resolved" });
  const settled = await everywhere("person", "ada", ({ value }) => Object(value?.city).name === "Bern");
  expect({ ...settled.value, photo: "none" }).toEqual({
    ...back.value,
    city: { name: "Bern", zip: "53111" },
  });
  const now = await noted("person", "ada", settled.position);
  const since = new Map(now.map(({ id, resolution }) => [id, resolution?.how]));
  expect([since.get(String(note?.id)), since.get(String(city?.id))]).toEqual(["reinstated", "resolved"]);
  // Both had seen all there was: nothing new conflicts.
  expect(since.size).toBe(conflicts.length);
  const shown = JSON.parse(await done("state", "get", "person", "ada", "--node", "leaf1", "--json"));
  expect(shown).toMatchObject({ node: "leaf1", value: settled.value, provisional: 0, complete: true });
  const metrics = await (await fetch(`${lab.hub.httpUrl}/metrics`)).text();
  const counted = /^cim_conflicts_total\{domain="person",resolver="last-write-wins"\} (\d+)$/m.exec(
    metrics,
  )?.[1];
  expect(Number(counted)).toBe(conflicts.length);
});

it("side by side until somebody settles it", async () => {
  await offline(async () => {
    await using one = await editor("leaf1", 0);
    await using two = await editor("leaf2", APART_MS);
    for (const each of [one, two]) each.at(Date.now() - HALF_HOUR_MS);
    await one.change("sheet", { a1: 1 });
    await two.change("sheet", { a1: 2 });
  });
  const met = await everywhere("sheet", "ada", ({ siblings }) => siblings.length > 0);
  expect(met.value).toEqual({ a1: 2 });
  expect(met.siblings[0]?.versions.map(({ value, node }) => [value, node])).toEqual([
    [2, "leaf2"],
    [1, "leaf1"],
  ]);
  const [conflict] = await noted("sheet", "ada", met.position);
  await done("conflicts", "resolve", String(conflict?.id), "--take", "loser");
  const settled = await everywhere("sheet", "ada", ({ value }) => value?.a1 === 1);
  expect(settled.siblings).toEqual([]);
});

it("of writers that do not say what they had seen it is uncertain", async () => {
  const publish = async (name: string, body: string) => {
    const nc = await connect({ servers: lab.leaf(name).natsUrl });
    await nc.request("cim.events.person.eve.Changed", body, { timeout: 20_000 });
    await nc.close();
  };
  await publish("leaf1", '{"name":"Eve"}');
  await everywhere("person", "eve", ({ value }) => value?.name === "Eve");
  await publish("leaf2", '{"name":"Eva"}');
  const met = await everywhere("person", "eve", ({ value }) => value?.name === "Eva");
  const [conflict] = await noted("person", "eve", met.position);
  expect(conflict).toMatchObject({ certain: false, loser: { value: "Eve" } });
  expect(await done("conflicts", "list", "--domain", "person", "--aggregate", "eve")).toContain(
    `${conflict?.id}?`,
  );
});

it("bad input is answered with one line that says what to write", async () => {
  const refused = async (...args: string[]) => {
    const { code, stderr } = await run(...args);
    expect(stderr).toMatch(/^cim: [^\n]+\n$/);
    return [code, stderr];
  };
  expect(await refused("conflicts", "show", "x")).toEqual([
    2,
    expect.stringContaining("write its id as the list has it"),
  ]);
  expect(await refused("conflicts", "show", "999999.1")).toEqual([
    1,
    expect.stringContaining("has no conflict"),
  ]);
  expect(await refused("conflicts", "resolve", "1.1")).toEqual([
    2,
    expect.stringContaining("add --data <json>"),
  ]);
  expect(await refused("conflicts", "list", "--aggregate", "ada")).toEqual([
    2,
    expect.stringContaining("--domain"),
  ]);
  expect(await refused("state", "get", "person", "nobody")).toEqual([
    1,
    expect.stringContaining("knows no event"),
  ]);
  expect(await refused("state", "get", "_cim", "x")).toEqual([2, expect.stringContaining("domain")]);
});
