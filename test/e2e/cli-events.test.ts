import { join } from "node:path";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../../lab/lab.ts";
import { nodePaths } from "../../lab/node-plan.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { headerTextOf } from "../../shared/nats/raw-message.ts";
import type { CloudEvent } from "../../shared/protocol/cloud-event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { CimCommand, cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** `cim status`, `cim nodes` and `cim events` as people use them, on a running lab. */

let dir: TempDir;
let lab: Lab;

beforeAll(async () => {
  dir = await tempDir("cim-cli-test-");
  lab = await Lab.up({ dir: join(dir.path, "lab"), leaves: 2 });
});

afterAll(async () => {
  await lab?.close();
  await dir?.[Symbol.asyncDispose]();
});

const run = (...args: string[]) => cim([...args, "--dir", lab.dir]);
const done = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args);
  expect(code, stderr).toBe(0);
  return stdout;
};
const refused = async (code: number, ...args: string[]) => {
  const result = await run(...args);
  expect(result).toEqual({ code, stdout: "", stderr: expect.stringMatching(/^cim: [^\n]+\n$/) });
  return result.stderr;
};
const events = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as CloudEvent);
/** Waits until the log has an event of this type. */
const inTheLog = (type: string) =>
  done("events", "tail", `*.*.${type}`, "--from", "start", "--limit", "1", "--json");

/** As any NATS client does. */
async function publishAs(
  nc: NatsConnection,
  subject: string,
  id: string,
  correlation: string,
  cause?: string,
) {
  const head = headers();
  head.set("Nats-Msg-Id", id);
  head.set("X-Correlation-ID", correlation);
  if (cause !== undefined) head.set("X-Causation-ID", cause);
  await nc.request(subject, "{}", { headers: head, timeout: 5_000 });
}
const hubSeedFile = () => join(nodePaths(lab.dir, "hub").data, "agent.nk");

describe("cim events", () => {
  it("publish on one leaf, tail on another", async () => {
    await using tail = new CimCommand([
      ...["events", "tail", "person", "--node", "leaf2", "--from", "start"],
      ...["--limit", "1", "--dir", lab.dir],
    ]);
    const said = await done(
      ...[
        "events",
        "publish",
        "person",
        "ada",
        "PersonCreated",
        "--data",
        '{"name":"Ada"}',
        "--node",
        "leaf1",
      ],
    );
    const id = /^leaf1: event 1 of its outbox, id (\S+)\n$/.exec(said)?.[1] ?? "";
    expect(await tail.ended).toBe(0);
    expect(tail.stdout).toMatch(
      new RegExp(
        `^[\\d:.]+ {2}leaf1 {3}person {2}ada {8}PersonCreated {2}${id.slice(-8)} {2}- {9}{"name":"Ada"}\n$`,
      ),
    );
    const [event] = events(
      await done("events", "tail", "person.ada", "--from", "5m", "--limit", "1", "--json"),
    );
    expect(event).toMatchObject({ id, source: "/cim/leaf1", type: "PersonCreated", data: { name: "Ada" } });
  });

  it("publish many at a rate, and say how many when interrupted", async () => {
    const many = JSON.parse(
      await done("events", "publish", "load", "a", "Many", "--count", "2500", "--json"),
    );
    expect(many).toMatchObject({ node: "hub", count: 2500, acknowledged: 2500 });
    expect(many.last.seq - many.first.seq).toBe(2499);
    const startMs = performance.now();
    expect(await done("events", "publish", "load", "a", "Paced", "--count", "30", "--rate", "30")).toMatch(
      /^hub: 30 events in \S+ s, \d+\/s; [\d,]+ to [\d,]+ of its outbox\n$/,
    );
    expect(performance.now() - startMs).toBeGreaterThan(900);

    await using slow = new CimCommand([
      ...[
        "events",
        "publish",
        "load",
        "a",
        "Stopped",
        "--count",
        "100000",
        "--rate",
        "100",
        "--dir",
        lab.dir,
      ],
    ]);
    await inTheLog("Stopped");
    slow.child.kill("SIGINT");
    expect(await slow.ended).toBe(130);
    const acknowledged = /^cim: interrupted: ([\d,]+) of 100,000 were acknowledged\n$/.exec(slow.stderr)?.[1];
    const replayed = () =>
      done("events", "replay", "--from", "start", "--to", "now", "--filter", "*.*.Stopped");
    const count = Number(acknowledged?.replace(",", ""));
    await eventually(async () => (await replayed()).split("\n").length - 1 === count, {
      what: `${count} events in the log`,
    });
  });

  it("tail shows one chain, or one origin, and ends when its reader has enough", async () => {
    const nc = await connectNats({ url: lab.leaf("leaf1").document.nats, name: "test" });
    try {
      for (const [type, id, correlation] of [
        ["One", "chain-number-1-a", "chain-number-1"],
        ["Two", "chain-number-2-a", "chain-number-2"],
        ["One", "chain-number-1-b", "chain-number-1"],
      ] as const) {
        await publishAs(nc, `cim.events.chains.a.${type}`, id, correlation);
      }
    } finally {
      await nc.close();
    }
    const tail = ["events", "tail", "chains", "--from", "start", "--json"];
    const of = async (...args: string[]) => events(await done(...tail, ...args)).map(({ id }) => id);
    expect(await of("--correlation", "chain-number-1", "--limit", "2")).toEqual([
      "chain-number-1-a",
      "chain-number-1-b",
    ]);
    expect(await of("--correlation", "umber-2", "--origin", "leaf1", "--limit", "1")).toEqual([
      "chain-number-2-a",
    ]);
    expect(await refused(2, "events", "tail", "--origin", "Leaf 1")).toContain("--origin:");
    const cloud = ["events", "tail", "chains", "--from", "start", "--limit", "2", "--cloudevents"];
    expect(events(await done(...cloud))[1]).toMatchObject({ specversion: "1.0", id: "chain-number-2-a" });
    // More than a pipe holds, so that it waits for the reader when that one goes.
    await done(
      "events",
      "publish",
      "chains",
      "b",
      "Big",
      "--count",
      "40",
      "--data",
      JSON.stringify("x".repeat(20_000)),
    );
    const all = ["--from", "start", "--dir", lab.dir];
    for (const command of [
      ["tail", "chains", ...all],
      ["replay", "--to", "now", ...all],
    ]) {
      await using big = new CimCommand(["events", ...command]);
      big.child.stdout?.once("data", () => big.child.stdout?.destroy());
      expect(await big.ended).toBe(0);
      expect(big.stderr).toBe("");
    }
  });

  it("trace draws what led to an event and what it led to", async () => {
    const [one, two] = [lab.leaf("leaf1"), lab.leaf("leaf2")];
    const root = "0190aaaa-0000-7000-8000-0000root0001";
    const chain = [
      [one, "OrderPlaced", root, undefined],
      [two, "StockReserved", "0190aaaa-0000-7000-8000-000stock0001", root],
      [one, "PaymentTaken", "0190aaaa-0000-7000-8000-00payment001", root],
      [two, "ReceiptSent", "0190aaaa-0000-7000-8000-00receipt001", "0190aaaa-0000-7000-8000-00payment001"],
      [one, "Audited", "0190aaaa-0000-7000-8000-0000audit001", "0190aaaa-0000-7000-8000-00command001"],
    ] as const;
    for (const [node, type, id, cause] of chain) {
      const nc = await connectNats({ url: node.document.nats, name: "test" });
      await publishAs(nc, `cim.events.orders.7.${type}`, id, root, cause);
      await nc.close();
      await inTheLog(type);
    }
    const { code, stdout, stderr } = await run("events", "trace", "receipt001");
    expect(code).toBe(0);
    const shown = stdout.replaceAll(/\d\d:\d\d:[\d.]+/g, "TIME").replaceAll(/\+[\d,.]+ ms/g, "+N ms");
    expect(shown.split("\n")).toEqual([
      `5 events of correlation ${root}`,
      "OrderPlaced        orders  7  leaf1  root0001  TIME",
      "├─ StockReserved   orders  7  leaf2  tock0001  +N ms",
      "└─ PaymentTaken    orders  7  leaf1  yment001  +N ms",
      "   └─ ReceiptSent  orders  7  leaf2  ceipt001  +N ms",
      "(not found)                          mmand001",
      "└─ Audited         orders  7  leaf1  audit001  TIME",
      "",
    ]);
    expect(stderr).toMatch(
      /^looked through the whole log on hub, [\d,]+ messages; 1 cause not found there\n$/,
    );
    const { code: _, stdout: json } = await run("events", "trace", root, "--node", "leaf2", "--json");
    const document = JSON.parse(json);
    expect(document).toMatchObject({
      correlationId: root,
      node: "leaf2",
      count: 5,
      notFound: ["0190aaaa-0000-7000-8000-00command001"],
    });
    const depths = document.events.map((event: { type: string; depth: number }) => [event.type, event.depth]);
    expect(depths.slice(2, 4)).toEqual([
      ["PaymentTaken", 1],
      ["ReceiptSent", 2],
    ]);
    expect(await refused(1, "events", "trace", "no-such-id")).toBe(
      'cim: nothing of "no-such-id" is in the whole log on hub\n',
    );
    expect(await refused(1, "events", "trace", root, "--from", "now")).toContain(
      "--from start looks through",
    );
    expect(await refused(2, "events", "trace", "")).toContain("write the id of an event");
    // The end of an id may be that of two chains.
    const nc = await connectNats({ url: one.document.nats, name: "test" });
    for (const chain of ["first", "second"]) {
      await publishAs(nc, "cim.events.orders.8.Alike", `${chain}-1-alike`, `${chain}-chain`);
    }
    await nc.close();
    await done("events", "tail", "orders.8", "--from", "start", "--limit", "2");
    expect(await refused(2, "events", "trace", "1-alike")).toBe(
      'cim: events trace: "1-alike" is of 2 chains; write one of first-chain, second-chain\n',
    );
  });

  it("tail goes on when its server comes back", async () => {
    await using tail = new CimCommand([
      "events",
      "tail",
      "restart",
      "--node",
      "leaf2",
      "--json",
      "--dir",
      lab.dir,
    ]);
    // It has a consumer when it shows something: until then what is published may be before its beginning.
    await eventually(async () => {
      await done("events", "publish", "restart", "a", "Before", "--node", "leaf2");
      return tail.stdout !== "";
    });
    await lab.leaf("leaf2").kill("nats");
    await done("events", "publish", "restart", "a", "Meanwhile", "--node", "leaf1");
    await lab.leaf("leaf2").start("nats");
    await eventually(() => tail.stdout.includes("Meanwhile"), { timeoutMs: 120_000 });
    const seqs = events(tail.stdout).map(({ cimorigin, type }) => `${cimorigin} ${type}`);
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(tail.stderr).toMatch(/^leaf2 does not answer [^\n]+; waiting for it\nleaf2 is back\n/);
    tail.child.kill("SIGINT");
    expect(await tail.ended).toBe(0);
  });

  it("replay prints a part of the log, at the speed that is asked for", async () => {
    await done("events", "publish", "pace", "a", "First", "--node", "leaf1");
    await done(
      "events",
      "publish",
      "pace",
      "a",
      "Second",
      "--count",
      "11",
      "--rate",
      "10",
      "--node",
      "leaf1",
    );
    await inTheLog("Second");
    const whole = ["events", "replay", "--from", "start", "--to", "now", "--filter", "pace", "--json"];
    const all = await eventually(async () => {
      const found = events(await done(...whole));
      return found.length === 12 && found;
    });
    const index = (event: CloudEvent | undefined) => String(event?.cimlog?.split(".")[1]);
    const part = ["--from", index(all[3]), "--to", index(all[6]), "--filter", "pace", "--json"];
    expect(events(await done("events", "replay", ...part))).toEqual(all.slice(3, 7));
    expect(await done("events", "replay", ...part, "--filter", "nothing")).toBe("");
    const startMs = performance.now();
    await done(
      "events",
      "replay",
      "--from",
      index(all[1]),
      "--to",
      index(all[11]),
      "--filter",
      "pace",
      "--speed",
      "2",
    );
    const storedMs = (event: CloudEvent | undefined) => Date.parse(event?.time ?? "");
    const halfMs = (storedMs(all[11]) - storedMs(all[1])) / 2;
    expect(halfMs).toBeGreaterThan(0);
    expect(performance.now() - startMs).toBeGreaterThan(halfMs - 5);
  });

  it("replay publishes into a prefix where nothing is live, with the headers as they were", async () => {
    await done(
      "events",
      "publish",
      "told",
      "ada",
      "Told",
      "--count",
      "20",
      "--data",
      '{"n":1}',
      "--node",
      "leaf1",
    );
    await inTheLog("Told");
    const nc = await connectNats({ url: lab.hub.document.nats, name: "test" });
    try {
      const heard: { subject: string; headers: string; body: string }[] = [];
      nc.subscribe("cim.replay.>", {
        callback: (_, message) => {
          heard.push({ subject: message.subject, headers: headerTextOf(message), body: message.string() });
        },
      });
      await nc.flush();
      const said = await eventually(async () => {
        const text = await done(
          ...[
            "events",
            "replay",
            "--from",
            "start",
            "--to",
            "now",
            "--filter",
            "told",
            "--into",
            "cim.replay.test",
          ],
        );
        return text.startsWith("hub: 20 events") && text;
      });
      expect(said).toMatch(/^hub: 20 events replayed into cim\.replay\.test in [\d.]+ s, [\d,]+\/s\n$/);
      const last = await eventually(() => heard.at(-1));
      expect(last).toMatchObject({ subject: "cim.replay.test.told.ada.Told", body: '{"n":1}' });
      const header = (name: string) => headerValue(last.headers, name);
      expect(header("Cim-Replay")).toBe("1");
      expect(header("Cim-Origin")).toMatch(/^leaf1 1 e \d+$/);
      expect(header("X-Correlation-ID")).toBe(header("Cim-Id"));
      expect(last.headers).not.toMatch(/nats-/i);
    } finally {
      await nc.close();
    }
    const into = (prefix: string) =>
      refused(2, "events", "replay", "--from", "start", "--to", "now", "--into", prefix);
    expect(await into("cim.events.person")).toContain("is live");
    expect(await into("cim.log")).toContain("is live");
    expect(await into("cim")).toContain("is live");
    expect(await into("cim.commands.person")).toContain("is live");
    expect(await into("$JS.API")).toContain("belongs to nats-server");
    expect(await into("cim.replay.*")).toContain("is not a subject prefix");
    const hub = await connectNats({ url: lab.hub.document.nats, name: "test", seedFile: hubSeedFile() });
    try {
      await jetStreamApi(hub, "STREAM.CREATE.THEIRS", {
        name: "THEIRS",
        subjects: ["cim.replay.kept.*.a.>"],
      });
      expect(await into("cim.replay.kept")).toContain("the stream THEIRS captures cim.replay.kept.>");
      await jetStreamApi(hub, "STREAM.DELETE.THEIRS", undefined);
    } finally {
      await hub.close();
    }
    expect(await into("elsewhere")).toContain("this user may not publish to elsewhere.>");
  });

  it("say in one line what is wrong", async () => {
    const publish = ["events", "publish", "person", "ada"];
    expect(await refused(2, ...publish, "Person.Created")).toContain("type:");
    expect(await refused(2, ...publish, "X", "--data", "{nope")).toContain("--data: it is not JSON");
    expect(await refused(2, ...publish, "X", "--node", "leaf7")).toContain("write one of hub, leaf1, leaf2");
    expect(await refused(2, ...publish, "X", "--count", "many")).toContain("--count:");
    expect(await refused(2, ...publish, "X", "--node", "leaf1", "--server", "nats://127.0.0.1:1")).toContain(
      "--server",
    );
    expect(await refused(2, "events", "tail", "a b")).toContain("not a filter");
    expect(await refused(2, "events", "tail", "--from", "whenever")).toContain("--from:");
    expect(await refused(2, "events", "replay", "--from", "1", "--to", "2", "--speed", "slow")).toContain(
      "--speed:",
    );
    const replay = ["events", "replay", "--speed", "max"];
    expect(await refused(2, ...replay, "--from", "9", "--to", "2")).toContain("--to: 2 is before --from 9");
    expect(await refused(2, ...replay, "--from", "5m", "--to", "10m")).toContain("is before");
    expect(await refused(2, ...replay, "--from", "1", "--to", "2", "--speed", "0")).toContain("--speed:");
    expect(await refused(2, "events", "accept-hole", "leaf1", "--after", "3", "--before", "4")).toContain(
      "no hole",
    );
    expect(await refused(1, "events", "accept-hole", "leaf1", "--after", "3", "--before", "9")).toContain(
      "leaf1 misses no events",
    );
    // The node where every other command of events takes it.
    const hole = ["events", "accept-hole", "--after", "3", "--before", "9"];
    expect(await refused(1, ...hole, "--node", "leaf1")).toContain("leaf1 misses no events");
    expect(await refused(2, ...hole, "leaf1", "--node", "leaf2")).toContain("write one of them");
    expect(await refused(2, ...hole)).toContain("write the node");
    const nowhere = await cim(["events", "tail"], { cwd: dir.path, env: { CIM_NATS_URL: undefined } });
    expect(nowhere).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^cim: no fleet found: [^\n]+\n$/),
    });
    const away = await cim(["events", "tail", "--server", "127.0.0.1:1"]);
    expect(away).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^cim: nats-server at nats:[^\n]+\n$/),
    });
  });
});

describe("cim status and nodes", () => {
  /** What it says once it says that all is well. */
  const well = async (...args: string[]) =>
    await eventually(
      async () => {
        const { code, stdout } = await run(...args);
        return code === 0 ? stdout : Promise.reject(new Error(stdout));
      },
      { what: `${args.join(" ")} with 0` },
    );

  it("say that all is well, and leave with 0", async () => {
    expect(await well("status")).toMatch(/^hub leads, reign \S+\n3 nodes: 3 up\n[\d,]+ events in the log; /);
    const status = JSON.parse(await well("status", "--json"));
    expect(status).toMatchObject({ ok: true, status: { hub: "hub", leads: true } });
    const { nodes } = JSON.parse(await well("nodes", "--json"));
    expect(nodes.map(({ name }: { name: string }) => name)).toEqual(["hub", "leaf1", "leaf2"]);
    expect(nodes[1]).toMatchObject({
      health: { state: "up" },
      origin: { node: "leaf1" },
      copy: { domains: ["*"] },
    });
    expect(await well("nodes", "show", "leaf1")).toMatch(/^leaf1\n {2}role +leaf\n/);
    expect(await refused(1, "nodes", "show", "leaf7")).toContain("the coordinator knows hub, leaf1, leaf2");
  });

  it("leave with 1 when a node is not up, and say why", async () => {
    await lab.leaf("leaf1").kill("daemon");
    try {
      const told = await eventually(async () => {
        const { code, stdout } = await run("nodes");
        return code === 1 && /^leaf1 +down /m.test(stdout) && stdout;
      });
      expect(told).toMatch(/^leaf1 +down /m);
      const why = /^error {4}leaf1: down: its server answers, its agent does not/m;
      await eventually(async () => {
        const { code, stdout } = await run("status");
        return code === 1 && why.test(stdout);
      });
      expect((await run("nodes", "show", "leaf1")).code).toBe(1);
      await well("nodes", "show", "leaf2");
    } finally {
      await lab.leaf("leaf1").start("daemon");
    }
    await well("status");
  });

  it("watch until told to end", async () => {
    await using watch = new CimCommand(["status", "--watch", "--json", "--dir", lab.dir]);
    await eventually(() => watch.stdout.split("\n").length > 2);
    watch.child.kill("SIGINT");
    expect(await watch.ended).toBe(0);
    expect(events(watch.stdout)[1]).toHaveProperty("ok");
  });

  it("name a coordinator that is not there, or is none", async () => {
    const at = (http: string) => cim(["status", "--http", http]);
    expect(await at(lab.leaf("leaf1").document.http)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^cim: http:[^\n]+ answers, but not as a coordinator does [^\n]+\n$/),
    });
    expect(await at("127.0.0.1:9")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^cim: the coordinator at http:\/\/127\.0\.0\.1:9 does not answer: [^\n]+\n$/,
      ),
    });
    expect((await at("a b")).code).toBe(2);
    await lab.hub.kill("daemon");
    try {
      expect(await refused(1, "status")).toContain(
        "the daemon of hub does not run: cim lab start hub --dir ",
      );
    } finally {
      await lab.hub.start("daemon");
    }
  });
});
