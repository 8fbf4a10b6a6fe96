import { afterEach, describe, expect, it, vi } from "vitest";
import type { FleetView, NodeView } from "../../cli/coordinator-api.ts";
import { fleetProblems, isAsItShouldBe } from "../../cli/fleet-problems.ts";
import { nodeLines } from "../../cli/nodes.ts";
import { run } from "../../cli/program.ts";
import { statusLines } from "../../cli/status.ts";

const nowMs = Date.UTC(2026, 10, 24, 12);
const ago = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();

function health(
  state: "up" | "unreachable" | "down",
  seconds: number,
  ...evidence: string[]
): NodeView["health"] {
  const checks = { link: "up", agent: "speaks", server: "unasked", probe: "none" } as const;
  return { state, since: ago(seconds), evidence, suspect: false, part: null, flapping: false, checks };
}

function node(name: string, change: Partial<NodeView> = {}): NodeView {
  const role = name === "hub" ? "hub" : "leaf";
  return {
    name,
    role,
    region: "eu",
    capabilities: [],
    health: health("up", 90, "its agent speaks", "last heartbeat 40 ms ago", "link up for 90 s"),
    url: null,
    sources: ["heartbeat", "configuration", "link"],
    said: [],
    version: "0.1.0",
    serverVersion: "2.15.2",
    contracts: null,
    coordinates: null,
    incarnation: 1,
    link: { up: true, since: ago(90), rttMs: 0.4712 },
    firstSeen: ago(90),
    lastSeen: ago(0),
    heartbeat: null,
    silentForMs: 40,
    origin: {
      node: name,
      incarnation: 1,
      logged: 12_345,
      outboxLast: 12_345,
      lagEvents: 0,
      lagSeconds: 0,
      ...IN_SYNC,
    },
    copy:
      role === "hub"
        ? null
        : { node: name, domains: ["*"], index: 77, reign: "1-a", lagEvents: 0, lagSeconds: 0, ...IN_SYNC },
    ...change,
  };
}

const IN_SYNC = { state: "in-sync", since: null, estimateS: null, proof: null } as const;

function view(nodes: readonly NodeView[], status: Partial<FleetView["status"]> = {}): FleetView {
  const count = (state: string) => nodes.filter(({ health }) => health.state === state).length;
  return {
    nodes,
    status: {
      version: "0.1.0",
      hub: "hub",
      leads: true,
      holder: "hub@1",
      reign: "1-a",
      log: { index: 80, events: 12_400, refused: 0 },
      nodes: { total: nodes.length, up: count("up"), unreachable: count("unreachable"), down: count("down") },
      lag: { originsBehind: 0, events: 0, seconds: 0, copiesBehind: 0 },
      conditions: [],
      ...status,
    },
  };
}

const screen = (fleet: FleetView) => statusLines(fleet, fleetProblems(fleet), nowMs);

describe("cim status", () => {
  it("is calm when all is well", () => {
    const fleet = view([node("hub"), node("leaf1")]);
    expect(isAsItShouldBe(fleetProblems(fleet))).toBe(true);
    expect(screen(fleet)).toEqual([
      "hub leads, reign 1-a",
      "2 nodes: 2 up",
      "12,400 events in the log; nothing waits",
      "",
      "NODE   HEALTH  LINK         IN THE LOG  LAG   COPY     RUNWAY  LAST SEEN",
      "hub    up      -            12,345      none  the log  -       now",
      "leaf1  up      up, 0.47 ms  12,345      none  current  -       now",
    ]);
  });

  it("says what waits, where, and what to do", () => {
    const lagging = node("leaf1", {
      health: health("unreachable", 12, "nothing of it answers", "last heartbeat 12 s ago"),
      link: { up: false, since: ago(13), rttMs: 0.5 },
      silentForMs: 12_000,
      origin: {
        node: "leaf1",
        incarnation: 1,
        logged: 900,
        outboxLast: 1_000,
        lagEvents: 100,
        lagSeconds: 14,
        ...IN_SYNC,
      },
      copy: {
        node: "leaf1",
        domains: ["*"],
        index: 70,
        reign: "1-a",
        lagEvents: 10,
        lagSeconds: 3,
        ...IN_SYNC,
      },
    });
    const fleet = view([node("hub"), lagging], {
      lag: { originsBehind: 1, events: 100, seconds: 14, copiesBehind: 1 },
      log: { index: 80, events: 900, refused: 2 },
      conditions: [{ code: "disk-full", severity: "error", detail: "The disk is full.", node: "leaf1" }],
    });
    expect(isAsItShouldBe(fleetProblems(fleet))).toBe(false);
    expect(screen(fleet)).toEqual([
      "hub leads, reign 1-a",
      "2 nodes: 1 up, 1 unreachable",
      "900 events in the log, 2 refused; 100 events of 1 node wait, the oldest for 14 s",
      "",
      "NODE   HEALTH       LINK       IN THE LOG    LAG         COPY             RUNWAY  LAST SEEN",
      "hub    up           -          12,345        none        the log          -       now",
      "leaf1  unreachable  down 13 s  900 of 1,000  100, 14 s?  10, 3 s behind?  -       12 s ago",
      "",
      "error    leaf1: unreachable: nothing of it answers, last heartbeat 12 s ago",
      "error    leaf1: The disk is full.",
      "         Free space, then restart nats-server: it does not go on by itself.",
    ]);
  });

  it("is not well when it does not lead, or something of a node is an error; a warning is not", () => {
    const follower = view([node("hub")], { leads: false, holder: "hub2@1" });
    expect(fleetProblems(follower)).toEqual([
      { severity: "error", text: "the coordinator of hub does not lead; hub2@1 does" },
    ]);
    const nobody = view([node("hub")], { leads: false, holder: null });
    expect(fleetProblems(nobody)[0]?.text).toMatch(/^nobody leads/);
    const down = { health: health("down", 1, "its server answers, its agent does not") };
    expect(isAsItShouldBe(fleetProblems(view([node("leaf1", down)])))).toBe(false);
    const told = (severity: string) =>
      view([node("hub")], {
        conditions: [{ code: "of a later version", severity, detail: "Something.", node: "hub" }],
      });
    expect(isAsItShouldBe(fleetProblems(told("warning")))).toBe(true);
    expect(isAsItShouldBe(fleetProblems(told("error")))).toBe(false);
  });

  it("says once what the hub's coordinator and its heartbeat both say", () => {
    const text = "The disk is full.";
    const twice = view([node("hub")], {
      conditions: [
        {
          code: "disk-full",
          severity: "error",
          title: "Disk full",
          text,
          whatToDo: "Free space.",
          affectsReadiness: true,
          sinceMs: 0,
        },
        { code: "disk-full", severity: "error", detail: text, node: "hub" },
      ],
    });
    expect(fleetProblems(twice)).toHaveLength(1);
    // Also where the coordinator knows what it is about, and another node's of the same text is another's.
    const [first, second] = twice.status.conditions;
    const about = { ...first, subject: "dns" } as typeof first;
    const others = { ...second, node: "leaf1" } as typeof second;
    const conditions = [about, second, others].filter((one) => one !== undefined);
    const problems = fleetProblems(view([node("hub"), node("leaf1")], { conditions }));
    expect(problems.map((problem) => problem.node)).toEqual(["dns", "leaf1"]);
  });
});

describe("cim nodes show", () => {
  it("tells all that is known, also of a node that was never heard", () => {
    const silent = node("leaf9", {
      health: health("unreachable", 5, "nothing of it answers", "no heartbeat yet", "no link yet"),
      sources: ["configuration", "static"],
      url: "nats://10.0.0.2:4222",
      said: [
        { source: "configuration", url: null, region: null, capabilities: [], leafUrl: null },
        {
          source: "static",
          url: "nats://10.0.0.2:4222",
          region: "eu",
          capabilities: ["gpu", "ssd"],
          leafUrl: "nats-leaf://10.0.0.2:7422",
        },
      ],
      link: { up: false, since: null, rttMs: null },
      silentForMs: null,
      origin: {
        node: "leaf9",
        incarnation: 0,
        logged: 0,
        outboxLast: null,
        ...IN_SYNC,
        lagEvents: null,
        lagSeconds: null,
      },
      copy: null,
    });
    expect(nodeLines(silent, [], nowMs)).toEqual([
      "leaf9",
      "  role              leaf",
      "  region            eu",
      "  capabilities      none",
      "  url               nats://10.0.0.2:4222",
      "  health            unreachable for 5 s: nothing of it answers",
      "  evidence          no heartbeat yet, no link yet",
      "  known from        configuration, static",
      "  by configuration  nothing but the name",
      "  by static         nats://10.0.0.2:4222, links at nats-leaf://10.0.0.2:7422, region eu, gpu, ssd",
      "  link              down",
      "  last seen         never",
      "  in the log        0, incarnation 0",
      "  lag               not known",
      "  copy              -",
    ]);
  });

  it("tells whose url counts where sources name different ones", () => {
    const at = (source: "static" | "consul" | "dns", url: string | null) => {
      return { source, url, region: null, capabilities: [], leafUrl: null };
    };
    const [first, second] = ["nats://10.0.0.2:4222", "nats://10.0.0.3:4222"];
    const urlOf = (said: NodeView["said"]) =>
      nodeLines(node("leaf1", { url: first, said }), [], nowMs).find((line) => line.startsWith("  url "));
    const disagreeing = [at("static", first), at("consul", second), at("dns", second)];
    expect(urlOf(disagreeing)).toMatch(/ nats:..10.0.0.2:4222, as static has it; another by consul, dns$/);
    expect(urlOf([at("static", first), at("consul", first), at("dns", null)])).toMatch(/ nats:\S+4222$/);
  });
});

describe("cim nodes", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("of one node says how that is asked", async () => {
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    expect(await run(["nodes", "leaf1"])).toBe(2);
    expect(said.mock.calls).toEqual([
      ['cim: "leaf1" is no command of cim nodes; write cim nodes show leaf1 for one node\n'],
    ]);
  });
});
