import { describe, expect, test } from "vitest";
import { decide } from "../../coordinator/routing/decide.ts";
import { explain } from "../../coordinator/routing/explain.ts";
import { type RouteNode, type RouteRequest, STRATEGIES } from "../../coordinator/routing/route-node.ts";
import { routeNode, routeRequest, routeView } from "../support/route-fleet.ts";

/** What every strategy must keep to, whatever it goes by. */
describe.each(STRATEGIES)("strategy %s", (strategy) => {
  const request = (over: Partial<RouteRequest> = {}) => routeRequest({ strategy, ...over });
  const chosenOf = (nodes: readonly RouteNode[], over: Partial<RouteRequest> = {}, turns = 200) => {
    const view = routeView(nodes);
    return Array.from({ length: turns }, (_, turn) => {
      const decision = decide(request(over), view, turn);
      return decision.kind === "chosen" ? decision.node.name : decision.reason;
    });
  };

  test.each<[string, Partial<RouteNode>, Partial<RouteRequest>]>([
    ["without the capability", { capabilities: ["cpu"] }, { require: ["cpu", "gpu"] }],
    ["that does not follow the domain", { capabilities: ["cpu", "gpu"], domains: ["person"] }, {}],
    ["without a copy", { capabilities: ["cpu", "gpu"], domains: [] }, {}],
    [
      "that handles other commands",
      { capabilities: ["cpu", "gpu"], handlers: ["orders.Cancel", "person.>"] },
      {},
    ],
    ["that is unreachable", { capabilities: ["cpu", "gpu"], health: "unreachable" }, {}],
    ["that is down", { capabilities: ["cpu", "gpu"], health: "down" }, {}],
    ["that lags", { capabilities: ["cpu", "gpu"], lagS: 61 }, {}],
  ])("never chooses a leaf %s", (_, wrong, over) => {
    const right = { capabilities: ["cpu", "gpu"] };
    const nodes = [routeNode("a", wrong), routeNode("b", right), routeNode("c", wrong)];
    expect(new Set(chosenOf(nodes, over))).toEqual(new Set(["b"]));
  });

  test("chooses the same again for the same view and turn", () => {
    const nodes = ["a", "b", "c", "d", "e"].map((name) => routeNode(name));
    expect(chosenOf(nodes)).toEqual(chosenOf(nodes));
  });

  test("spreads over leaves that are alike", () => {
    const counts = new Map<string, number>();
    const nodes = ["a", "b", "c", "d"].map((name) => routeNode(name));
    for (const name of chosenOf(nodes, {}, 4000)) counts.set(name, (counts.get(name) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual(["a", "b", "c", "d"]);
    for (const count of counts.values()) {
      expect(count).toBeGreaterThan(800);
      expect(count).toBeLessThan(1200);
    }
  });

  test("refuses by name what nobody can do", () => {
    expect(chosenOf([], {}, 1)).toEqual(["no-nodes"]);
    expect(chosenOf([routeNode("a", { health: "down" })], {}, 1)).toEqual(["not-up"]);
    expect(chosenOf([routeNode("a"), routeNode("b")], { require: ["gpu"] }, 1)).toEqual(["no-capability"]);
    // The fault that is nearest to being mended: of a who can and is away, and b who never could.
    const nodes = [routeNode("a", { capabilities: ["gpu"], health: "unreachable" }), routeNode("b")];
    expect(chosenOf(nodes, { require: ["gpu"] }, 1)).toEqual(["not-up"]);
  });

  test("with one leaf always chooses that one", () => {
    expect(new Set(chosenOf([routeNode("only")]))).toEqual(new Set(["only"]));
  });

  test("asks one that is in doubt only when nobody else is left", () => {
    const doubtful = routeNode("a", { doubtful: true });
    expect(new Set(chosenOf([doubtful, routeNode("b")]))).toEqual(new Set(["b"]));
    expect(new Set(chosenOf([doubtful]))).toEqual(new Set(["a"]));
  });

  test("passes over who was tried", () => {
    const view = routeView([routeNode("a"), routeNode("b")]);
    for (let turn = 0; turn < 20; turn++) {
      expect(decide(request(), view, turn, new Set(["a"]))).toMatchObject({ node: { name: "b" } });
    }
    expect(decide(request(), view, 0, new Set(["a", "b"]))).toEqual({
      kind: "refused",
      reason: "no-handler",
    });
  });

  test("explains each leaf: why it was left out, or what speaks for it", () => {
    const view = routeView([
      routeNode("a"),
      routeNode("b", { health: "unreachable" }),
      routeNode("c", { domains: ["person"] }),
    ]);
    const { chosen, refused, candidates } = explain(request(), view, 7);
    expect([chosen, refused]).toEqual(["a", null]);
    expect(candidates.map(({ node, excluded, best }) => [node, excluded, best])).toEqual([
      ["a", null, true],
      ["b", "not-up", false],
      ["c", "not-subscribed", false],
    ]);
    expect(candidates[1]?.why).toBe("is unreachable");
  });
});

describe("round-robin", () => {
  test("takes turns", () => {
    const view = routeView(["a", "b", "c"].map((name) => routeNode(name)));
    const names = [0, 1, 2, 3].map((turn) => decide(routeRequest(), view, turn));
    expect(names.map((one) => one.kind === "chosen" && one.node.name)).toEqual(["a", "b", "c", "a"]);
  });
});

describe("least-loaded", () => {
  test("gives the busiest of three nothing, and the idle most", () => {
    const view = routeView(["idle", "busy", "busier"].map((name) => routeNode(name)));
    view.setLoad("busy", { inFlight: 10 });
    view.setLoad("busier", { reported: 40 });
    const counts = { idle: 0, busy: 0, busier: 0 };
    for (let turn = 0; turn < 300; turn++) {
      const decision = decide(routeRequest({ strategy: "least-loaded" }), view, turn);
      if (decision.kind === "chosen") counts[decision.node.name as keyof typeof counts] += 1;
    }
    expect(counts.busier).toBe(0);
    expect(counts.idle).toBeGreaterThan(counts.busy);
    expect(counts.busy).toBeGreaterThan(0);
  });
});

describe("location-aware", () => {
  const berlin = { latitude: 52.5, longitude: 13.4 };
  const paris = { latitude: 48.9, longitude: 2.4 };
  const tokyo = { latitude: 35.7, longitude: 139.7 };
  const chosen = (nodes: readonly RouteNode[], near: RouteRequest["near"]) => {
    const decision = decide(routeRequest({ strategy: "location-aware", near }), routeView(nodes), 0);
    return decision.kind === "chosen" ? decision.node.name : decision.reason;
  };

  test("prefers the region to all else", () => {
    const nodes = [
      routeNode("near", { region: "us", rttMs: 0.1 }),
      routeNode("home", { region: "eu", rttMs: 90 }),
    ];
    expect(chosen(nodes, { region: "eu", coordinates: null })).toBe("home");
  });

  test("then the distance from where the caller is, or from the middle of the region it names", () => {
    const away = [
      routeNode("tokyo", { region: "asia", coordinates: tokyo, rttMs: 1 }),
      routeNode("paris", { region: "west", coordinates: paris, rttMs: 50 }),
      routeNode("nowhere", { region: "west", rttMs: 1 }),
    ];
    expect(chosen(away, { region: null, coordinates: berlin })).toBe("paris");
    const down = routeNode("berlin", { region: "eu", coordinates: berlin, health: "down" });
    expect(chosen([...away, down], { region: "eu", coordinates: null })).toBe("paris");
  });

  test("then the round trip, in steps: a hair does not decide", () => {
    const nodes = [routeNode("a", { rttMs: 80 }), routeNode("b", { rttMs: 20 })];
    expect(chosen(nodes, { region: "eu", coordinates: null })).toBe("b");
    const alike = [routeNode("a", { rttMs: 20.5 }), routeNode("b", { rttMs: 20 })];
    expect(chosen(alike, { region: "eu", coordinates: null })).toBe("a");
  });

  test("a region on both sides of the date line has its middle there", () => {
    const nodes = [
      routeNode("fiji", {
        region: "pacific",
        coordinates: { latitude: -17, longitude: 179 },
        health: "down",
      }),
      routeNode("samoa", {
        region: "pacific",
        coordinates: { latitude: -13, longitude: -172 },
        health: "down",
      }),
      routeNode("greenwich", { coordinates: { latitude: 0, longitude: 0 } }),
      routeNode("tonga", { coordinates: { latitude: -21, longitude: -175 } }),
    ];
    expect(chosen(nodes, { region: "pacific", coordinates: null })).toBe("tonga");
  });
});

describe("capability-based", () => {
  test("keeps those that can much for what nobody else can", () => {
    const view = routeView([
      routeNode("all", { capabilities: ["gpu", "camera", "arm"] }),
      routeNode("camera", { capabilities: ["camera"] }),
    ]);
    const chosen = (require: string[]) => {
      const decision = decide(routeRequest({ strategy: "capability-based", require }), view, 1);
      return decision.kind === "chosen" && decision.node.name;
    };
    expect([chosen(["camera"]), chosen(["gpu"]), chosen([])]).toEqual(["camera", "all", "camera"]);
  });
});
