import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Lab } from "../../lab/lab.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { checkFleet, type Verdict } from "../faults/check.ts";
import { runOnLab } from "../faults/lab-run.ts";
import { renderReport } from "../faults/report.ts";
import type { Report } from "../faults/run.ts";
import { makeSchedule } from "../faults/schedule.ts";
import { messagesOf } from "../support/checker-read.ts";
import { chooseSeed } from "../support/load-seed.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** The short run of what `npm run faults` does at length; see docs/faults.md. */

const nodes = ["hub", "leaf1", "leaf2"].map((name) => ({
  name,
  role: name === "hub" ? ("hub" as const) : ("leaf" as const),
}));
const seed = chooseSeed();

describe("a fleet under a random schedule of faults", () => {
  let dir: TempDir;
  let report: Report;
  const planted = new Map<string, Verdict>();

  beforeAll(async () => {
    console.log(`CIM_TEST_SEED=${seed} runs this schedule again`);
    dir = await tempDir("cim-schedule-");
    const schedule = makeSchedule({ seed, nodes, faults: 20, everyMs: 600 });
    report = await runOnLab({
      schedule,
      events: 3000,
      convergeTimeoutMs: 240_000,
      dir: dir.path,
      after: async (lab) => await plantFaults(lab, dir.path, planted),
    });
    console.log(renderReport(report));
  });

  afterAll(async () => {
    await dir?.[Symbol.asyncDispose]();
  });

  it("loses nothing, doubles nothing, keeps every order; copies and readers have all of it", () => {
    expect(report.troubles, renderReport(report)).toEqual([]);
    expect(report.verdict.examples, renderReport(report)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(report.faults.done + report.faults.skipped.reduce((sum, { count }) => sum + count, 0)).toBe(20);
    expect(report.verdict.acknowledged).toBe(3000);
    expect(report.verdict.logged).toBe(3000);
    expect(report.convergedMs).not.toBeNull();
  });

  it.each([
    ["a ledger's line that was removed", /foreign: log: event leaf1\/\d+ .+ was never written by anybody/],
    ["a ledger's line that was forged", /lost: log: leaf2's acknowledged event \d+ \(forged\) is missing/],
    ["a ledger's line with another body", /changed: log: hub's event \S+ is not what was written/],
    ["a reader's line that was removed", /reader: reader on leaf1: 1 events of the log were never handled/],
    ["a reader's line that is there twice", /reader: reader on leaf2: handled .+ twice/],
    ["an event doubled in the log by hand", /doubled: log: leaf1's event \S+ is there twice/],
    ["two events of the log that changed places", /order: log: leaf1 \d+\/\d+ stands after/],
    ["an event deleted from the log by hand", /lost: log: \S+ acknowledged event \d+ .+ is missing/],
    ["an event deleted from a copy by hand", /copy: copy of leaf2: 1 missing/],
  ])("%s turns the checker red", (what, text) => {
    const verdict = planted.get(what);
    expect(verdict?.ok).toBe(false);
    expect(verdict?.examples).toContainEqual(expect.stringMatching(text));
  });
});

/** Does to the evidence of a run what must not be, one after the other; the checker looks each time. */
async function plantFaults(lab: Lab, dir: string, planted: Map<string, Verdict>): Promise<void> {
  for (const node of [lab.hub, ...lab.leaves]) await node.finish("daemon");
  const check = async (what: string, changes: Readonly<Record<string, string>> = {}) => {
    const file = (name: string) => changes[name] ?? join(dir, name);
    const of = nodes.map(({ name, role }) => ({ name, role, natsUrl: lab.node(name).natsUrl }));
    planted.set(
      what,
      await checkFleet({
        nodes: of,
        ledgers: nodes.map(({ name }) => file(`writer-${name}.jsonl`)),
        readers: new Map(nodes.map(({ name }) => [name, file(`reader-${name}.jsonl`)])),
        commonEndTimeoutMs: 0,
      }),
    );
  };
  const changed = async (name: string, change: (lines: string[]) => string[]) => {
    const path = join(dir, `changed-${name}`);
    await cp(join(dir, name), path);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    await writeFile(path, `${change(lines).join("\n")}\n`);
    return { [name]: path };
  };
  const edited = (line: string, edit: object) => JSON.stringify({ ...JSON.parse(line), ...edit });
  await check(
    "a ledger's line that was removed",
    await changed("writer-leaf1.jsonl", (lines) => lines.toSpliced(7, 1)),
  );
  await check(
    "a ledger's line that was forged",
    await changed("writer-leaf2.jsonl", (lines) => [...lines, edited(lines[9] as string, { id: "forged" })]),
  );
  await check(
    "a ledger's line with another body",
    await changed("writer-hub.jsonl", (lines) => lines.with(3, edited(lines[3] as string, { body: "x" }))),
  );
  await check(
    "a reader's line that was removed",
    await changed("reader-leaf1.jsonl", (lines) => lines.toSpliced(11, 1)),
  );
  await check(
    "a reader's line that is there twice",
    await changed("reader-leaf2.jsonl", (lines) => [...lines, lines[5] as string]),
  );

  await using hand = await Hand.of(lab.hub);
  const events = await hand.lastEventsOf("leaf1", 3);
  await hand.write([events[0] as LogMessage]);
  await check("an event doubled in the log by hand");
  await hand.remove("newest");
  // Everything from the earlier of two on is taken out and written again, these two the other way round.
  const [first, second] = events as [LogMessage, LogMessage, LogMessage];
  const tail = await hand.takeFrom(first.seq);
  const place = (one: LogMessage) => tail.findIndex(({ seq }) => seq === one.seq);
  await hand.write(tail.with(place(first), second).with(place(second), first));
  await check("two events of the log that changed places");
  await hand.remove(20);
  await check("an event deleted from the log by hand");
  await using leafHand = await Hand.of(lab.leaf("leaf2"));
  await leafHand.remove(40);
  await check("an event deleted from a copy by hand");
}

interface LogMessage {
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly header: MsgHdrs;
}

/** Somebody with the daemon's key who changes its log or copy. */
class Hand implements AsyncDisposable {
  readonly #nc: NatsConnection;

  private constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  static async of({ natsUrl, name, paths }: Lab["hub"]): Promise<Hand> {
    const seedFile = join(paths.data, "agent.nk");
    return new Hand(
      await connectNats({ url: natsUrl, seedFile, name: "test hand", inboxPrefix: inboxPrefix(name) }),
    );
  }

  async lastEventsOf(origin: string, count: number): Promise<LogMessage[]> {
    const all = await this.#from(1);
    return all.filter(({ header }) => header.get("Cim-Origin").startsWith(`${origin} `)).slice(-count);
  }

  async takeFrom(seq: number): Promise<LogMessage[]> {
    const messages = await this.#from(seq);
    const jsm = await this.#streams();
    for (const message of messages) await jsm.streams.deleteMessage("CIM_EVENTS", message.seq);
    return messages;
  }

  async remove(which: "newest" | number): Promise<void> {
    const all = await this.#from(1);
    const events = all.filter(({ header }) => header.get("Cim-Origin") !== "");
    const { seq } = (which === "newest" ? all.at(-1) : events[which]) as LogMessage;
    await (await this.#streams()).streams.deleteMessage("CIM_EVENTS", seq);
  }

  async write(messages: readonly LogMessage[]): Promise<void> {
    for (const { subject, data, header } of messages) {
      const kept = headers();
      for (const key of header.keys()) if (!key.startsWith("Nats-")) kept.set(key, header.get(key));
      const to = subject.replace(/^cim\.events\./, "cim.log.");
      const reply = await this.#nc.request(to, data, { headers: kept, timeout: 30_000 });
      expect(reply.json()).not.toHaveProperty("error");
    }
  }

  async #from(seq: number): Promise<LogMessage[]> {
    const jsm = await this.#streams();
    const { state } = await jsm.streams.info("CIM_EVENTS");
    return await Array.fromAsync(messagesOf(jsm, "CIM_EVENTS", seq, state.last_seq));
  }

  async #streams() {
    return await jetstreamManager(this.#nc, { checkAPI: false, timeout: 30_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nc.close();
  }
}

it("programs see no error while agents and coordinator are restarted under load, again and again", async () => {
  await using dir = await tempDir("cim-upgrades-");
  const schedule = makeSchedule({
    seed: 1,
    nodes,
    faults: 9,
    everyMs: 600,
    kinds: ["restart"],
    parts: ["daemon"],
  });
  const patience = { appendTimeoutMs: 60_000, convergeTimeoutMs: 240_000 };
  const report = await runOnLab({ schedule, events: 9000, dir: dir.path, ...patience });
  console.log(renderReport(report));
  expect(new Set(schedule.faults.map(({ node }) => node))).toEqual(new Set(["hub", "leaf1", "leaf2"]));
  expect(report.errors).toEqual({});
  expect(report.ok, renderReport(report)).toBe(true);
  expect(report.verdict.acknowledged).toBe(9000);
});
