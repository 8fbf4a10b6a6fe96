import { createUser } from "@nats-io/nkeys";
import { describe, expect, it } from "vitest";
import { Fleet, type FleetChange } from "../../coordinator/fleet/fleet.ts";
import { whyKept } from "../../coordinator/fleet/retirement.ts";
import { isWorthWriting, recordOf } from "../../coordinator/registry/node-record.ts";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import type { Link } from "../../shared/nats/link-table.ts";
import { heartbeatOf } from "../support/heartbeat.ts";

const START_MS = Date.UTC(2026, 10, 24, 12);
const HOUR_MS = 3_600_000;
const key = () => createUser().getPublicKey();
const LEAF = { name: "leaf1", publicKey: key() };

function config(more: Partial<ConfigDocument> = {}) {
  return derive(
    configDocument.parse({ node: "hub", role: "hub", dataDir: "/var/lib/cim", leaves: [LEAF], ...more }),
  );
}

/** A fleet on a clock that is turned by hand. */
class Scene {
  nowMs = START_MS;
  readonly fleet: Fleet;
  readonly changes: string[] = [];
  #cid = 0;

  constructor(document: Partial<ConfigDocument> = {}) {
    this.fleet = new Fleet(config(document), this.nowMs);
    this.fleet.subscribe(({ kind, node }: FleetChange) =>
      this.changes.push(`${kind} ${node.name} ${node.health.state}`),
    );
  }

  link(name = "leaf1", publicKey: string | null = LEAF.publicKey): Link {
    const link = { name, cid: ++this.#cid, publicKey, rttMs: null, sinceMs: this.nowMs };
    this.fleet.onLink({ kind: "up", link, atMs: this.nowMs }, this.nowMs);
    return link;
  }

  unlink(link: Link): void {
    this.fleet.onLink({ kind: "down", link, atMs: this.nowMs, reason: "Client Closed" }, this.nowMs);
  }

  /** Turns the clock on; each of the agents (by their runs) says what it would every 250 ms. */
  pass(ms: number, runs: readonly string[] = ["a"], clockOffMs = 0): this {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; ) {
      this.nowMs += 125;
      this.fleet.turn(this.nowMs, { asks: 10, probes: 0 });
      if (this.nowMs % 250 !== 0) continue;
      const sentMs = this.nowMs + clockOffMs;
      for (const run of runs) this.fleet.onHeartbeat(heartbeatOf("leaf1", { run, sentMs }), this.nowMs);
    }
    return this;
  }

  get leaf() {
    return this.fleet.get("leaf1", this.nowMs);
  }
}

describe("a fleet", () => {
  it("tells of nodes that appear, change and go, as it happens", () => {
    const scene = new Scene();
    const link = scene.link("leaf2", null);
    scene.pass(500);
    scene.unlink(link);
    expect(scene.changes).toContain("appeared leaf2 unreachable");
    expect(scene.changes).toContain("health leaf1 up");
    scene.nowMs += 25 * HOUR_MS;
    scene.fleet.sweep(scene.nowMs);
    expect(scene.changes.at(-1)).toBe("forgotten leaf2 unreachable");
    expect(scene.fleet.list(scene.nowMs).map(({ name }) => name)).toEqual(["hub", "leaf1"]);
  });

  it("judges a leaf whose clock is an hour off as any other, and says so", () => {
    for (const offMs of [-HOUR_MS, HOUR_MS]) {
      const scene = new Scene();
      scene.link();
      scene.pass(5_000, ["a"], offMs);
      expect(scene.leaf?.health).toMatchObject({ state: "up", suspect: false });
      expect(scene.fleet.clockSkew("leaf1")).toBeCloseTo(-offMs / 1000);
      scene.pass(5_000, []);
      expect(scene.leaf?.health.state).toBe("unreachable");
    }
    const scene = new Scene();
    scene.link();
    expect(scene.pass(5_000).fleet.clockSkew("leaf1")).toBeUndefined();
  });

  it("tells two agents of one name from a restart, and does not flip between them", () => {
    const scene = new Scene();
    scene.link();
    scene.pass(1_000, ["a"]).pass(1_000, ["b"]);
    expect(scene.fleet.isDuplicate("leaf1", scene.nowMs)).toBe(false);
    const runs = new Set<string | undefined>();
    for (let turn = 0; turn < 20; turn++) runs.add(scene.pass(250, ["a", "b"]).leaf?.heartbeat?.run);
    expect([...runs]).toEqual(["b"]);
    expect(scene.fleet.isDuplicate("leaf1", scene.nowMs)).toBe(true);
    // One of the two went: whichever is left is the node.
    scene.pass(10_000, ["a"]);
    expect(scene.leaf).toMatchObject({ heartbeat: { run: "a" }, health: { state: "up" } });
    expect(scene.fleet.isDuplicate("leaf1", scene.nowMs)).toBe(false);
  });

  it("does not take a link with another key for the node whose name it bears", () => {
    const scene = new Scene();
    scene.link();
    scene.pass(1_000);
    const impostor = scene.link("leaf1", key());
    expect(scene.fleet.isDuplicate("leaf1", scene.nowMs)).toBe(true);
    scene.unlink(impostor);
    expect(scene.leaf?.link.up).toBe(true);
    expect(scene.fleet.isDuplicate("leaf1", scene.nowMs)).toBe(false);
  });

  it("ignores the goodbye of any other run than the node's own", () => {
    const scene = new Scene();
    scene.link();
    scene.pass(1_000, ["a"]).pass(1_000, ["b"]);
    for (const run of ["a", "never heard"]) {
      scene.fleet.onHeartbeat(heartbeatOf("leaf1", { run, goodbye: true }), scene.nowMs);
    }
    expect(scene.leaf?.health.state).toBe("up");
    scene.fleet.onHeartbeat(heartbeatOf("leaf1", { run: "b", goodbye: true }), scene.nowMs);
    expect(scene.leaf?.health).toMatchObject({ state: "down", part: "agent" });
  });

  it("knows the hub's own server by what its daemon says of it", () => {
    const { fleet, nowMs } = new Scene();
    fleet.onOwnServer("hub", true, nowMs);
    fleet.onHeartbeat(heartbeatOf("hub"), nowMs);
    expect(fleet.get("hub", nowMs)?.health.state).toBe("up");
    fleet.onOwnServer("hub", false, nowMs + 10);
    expect(fleet.get("hub", nowMs + 10)?.health).toMatchObject({ state: "unreachable" });
    for (let ms = 100; ms < 5_000; ms += 100) {
      const { probes } = fleet.turn(nowMs + ms, { asks: 0, probes: 10 });
      for (const { name, url, atMs } of probes) {
        if (url === config().nats.url) fleet.onProbe(name, "refused", atMs, nowMs + ms);
      }
    }
    expect(fleet.get("hub", nowMs + 5_000)?.health).toMatchObject({ state: "down", part: "server" });
  });
});

describe("a fleet that is restored", () => {
  const kept = () => {
    const scene = new Scene();
    scene.fleet.onDiscovery("static", [{ name: "leaf3", url: "nats://10.0.0.3:4222" }]);
    scene.link();
    scene.link("leaf2", null);
    scene.pass(1_000);
    return scene.fleet.list(scene.nowMs).map(recordOf);
  };

  it("has whom it had, with what they said, and nobody up", () => {
    const scene = new Scene();
    scene.fleet.restore(kept());
    const nodes = scene.fleet.list(scene.nowMs);
    expect(nodes.map(({ name }) => name)).toEqual(["hub", "leaf1", "leaf2", "leaf3"]);
    expect(nodes.filter(({ health }) => health.state === "up")).toEqual([]);
    expect(nodes.map(recordOf)).toEqual(kept());
    expect(scene.leaf).toMatchObject({ region: "eu", version: "0.1.0", incarnation: 1 });
  });

  it("drops whom nobody lists any more, but waits for a source that has not listed yet", () => {
    const scene = new Scene({ leaves: [] });
    scene.fleet.restore(kept());
    expect(scene.fleet.list(scene.nowMs).map(({ name }) => name)).toEqual(["hub", "leaf2", "leaf3"]);
    scene.fleet.onDiscovery("static", []);
    expect(scene.fleet.list(scene.nowMs).map(({ name }) => name)).toEqual(["hub", "leaf2"]);
    const listed = new Scene();
    listed.fleet.onDiscovery("static", []);
    listed.fleet.restore(kept());
    expect(listed.fleet.get("leaf3", listed.nowMs)).toBeUndefined();
  });
});

describe("a record", () => {
  const scene = new Scene();
  scene.link();
  const now = recordOf(scene.pass(1_000).fleet.get("leaf1", scene.nowMs) ?? expect.fail());
  const seen = (lastSeen: string | null) => ({ ...now, lastSeen });

  it("is written when anything but the time it was last seen changes", () => {
    expect(isWorthWriting(undefined, now, true)).toBe(true);
    expect(isWorthWriting(now, now, true)).toBe(false);
    for (const change of [{ region: "us" }, { capabilities: ["gpu"] }, { incarnation: 2 }, { sources: [] }]) {
      expect(isWorthWriting(now, { ...now, ...change }, true)).toBe(true);
    }
  });

  it("is written anew for that time when the node is not up any more, and once an hour", () => {
    const at = (ms: number) => new Date(START_MS + ms).toISOString();
    expect(isWorthWriting(seen(at(0)), seen(at(HOUR_MS - 1)), true)).toBe(false);
    expect(isWorthWriting(seen(at(0)), seen(at(HOUR_MS)), true)).toBe(true);
    expect(isWorthWriting(seen(at(0)), seen(at(1)), false)).toBe(true);
    expect(isWorthWriting(seen(at(1)), seen(at(1)), false)).toBe(false);
    expect(isWorthWriting(seen(null), seen(at(1)), true)).toBe(true);
  });
});

it("a node can be retired once nobody lists it and its link is down, and is dropped then", () => {
  const scene = new Scene();
  const why = (name = "leaf1") => whyKept(name, "hub", scene.fleet.get(name, scene.nowMs));
  const link = scene.link();
  expect(why("hub")).toContain("hub is the hub");
  expect(why("leaf9")).toBeUndefined();
  expect(why()).toContain("leaf1 is still in the hub's leaves");
  scene.fleet.configure(config({ leaves: [] }));
  expect(why()).toContain("leaf1 is still linked");
  scene.fleet.forget("leaf1", scene.nowMs);
  expect(scene.leaf).toBeDefined();
  scene.unlink(link);
  expect(why()).toBeUndefined();
  // Nobody ever listed it: it would be shown for a day.
  scene.unlink(scene.link("leaf7", null));
  expect(why("leaf7")).toBeUndefined();
  expect(scene.fleet.get("leaf7", scene.nowMs)).toBeDefined();
  scene.fleet.forget("leaf7", scene.nowMs);
  expect(scene.fleet.get("leaf7", scene.nowMs)).toBeUndefined();
  expect(scene.changes.at(-1)).toMatch(/^forgotten leaf7/);
});
