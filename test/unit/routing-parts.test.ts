import { expect, test, vi } from "vitest";
import { type Attempt, nextStep } from "../../coordinator/routing/attempt.ts";
import { type Flight, Flights } from "../../coordinator/routing/flights.ts";
import { heldLag, heldRoundTrip } from "../../coordinator/routing/held-values.ts";
import { PauseGate } from "../../coordinator/routing/pause-gate.ts";
import { RouteAsks } from "../../coordinator/routing/route-ask.ts";
import { routeNode, routeRequest, routeView } from "../support/route-fleet.ts";

const NOBODY: ReadonlySet<string> = new Set();

test.each<[Record<string, string>, string]>([
  [{ domain: "a.b" }, '"a.b" is not a domain'],
  [{ domain: "_cim" }, '"_cim" is not a domain'],
  [{ command: "" }, '"" is not a command'],
  [{ command: "Place*" }, '"Place*" is not a command'],
  [{ require: "gpu,two words" }, '"two words" is not a capability'],
  [{ near: "91,0" }, 'near: "91,0" is no place'],
  [{ near: "the moon" }, 'near: "the moon" is no place'],
  [{ strategy: "random" }, 'there is no strategy "random"'],
])("what can't be asked for is named: %j", (over, problem) => {
  const asks = new RouteAsks({ strategy: "round-robin", maxLagS: 60 });
  const read = asks.read({ domain: "orders", command: "Place", ...over }, null);
  expect(read.ok ? "ok" : read.problem).toContain(problem);
  expect(read.ok ? "ok" : read.problem).toContain("; write ");
});

test("what is asked for is read once: the same question is the same request", () => {
  const asks = new RouteAsks({ strategy: "least-loaded", maxLagS: 60 });
  const ask = { domain: "orders", command: "Place", require: "gpu, camera,gpu", near: "-52.5,13" };
  const first = asks.read(ask, { region: "eu", coordinates: null });
  expect(first.ok && first.request).toEqual({
    domain: "orders",
    command: "Place",
    require: ["camera", "gpu"],
    near: { region: null, coordinates: { latitude: -52.5, longitude: 13 } },
    strategy: "least-loaded",
    maxLagS: 60,
    unannounced: false,
  });
  const again = asks.read(ask, { region: "eu", coordinates: null });
  expect(again.ok && first.ok && again.request === first.request).toBe(true);
  const here = asks.read({ domain: "orders", command: "Place" }, { region: "eu", coordinates: null });
  const there = asks.read({ domain: "orders", command: "Place" }, { region: "us", coordinates: null });
  expect([here.ok && here.request.near?.region, there.ok && there.request.near?.region]).toEqual([
    "eu",
    "us",
  ]);
});

test("a round trip is held until it differs by a quarter, and by a millisecond", () => {
  expect(heldRoundTrip(null, 20)).toBe(20);
  expect(heldRoundTrip(20, 24)).toBe(20);
  expect(heldRoundTrip(20, 26)).toBe(26);
  expect(heldRoundTrip(0.2, 1.1)).toBe(0.2);
  expect(heldRoundTrip(20, null)).toBe(null);
});

test("a leaf that lagged too much comes back at half the bound", () => {
  let held: number | null = null;
  const course = [3, 59, 61, 59, 31, 30, 59, 60.5, 70].map((lag) => {
    held = heldLag(held, lag, 60);
    return held;
  });
  expect(course).toEqual([0, 0, 61, 61, 61, 0, 0, 0, 70]);
  expect(heldLag(61, null, 60)).toBe(null);
  expect(heldLag(0, 1000, null)).toBe(1000);
});

test("first the leaves that announce a program, then those that could have one, at most eight", () => {
  const view = routeView([
    routeNode("a", { handlers: ["orders.Place"] }),
    ...Array.from({ length: 12 }, (_, n) => routeNode(`n${n}`, { handlers: [] })),
  ]);
  let attempt: Attempt = { request: routeRequest(), tried: NOBODY, unannounced: false };
  const asked: string[] = [];
  for (;;) {
    const step = nextStep(attempt, view, () => 0, true);
    if (step.kind === "refuse") {
      expect(step.reason).toBe("no-handler");
      break;
    }
    asked.push(step.node);
    attempt = step.attempt;
  }
  expect(asked[0]).toBe("a");
  expect(new Set(asked).size).toBe(8);
  const first = { request: routeRequest({ command: "Other" }), tried: NOBODY, unannounced: false };
  expect(nextStep(first, view, () => 0, false)).toEqual({ kind: "refuse", reason: "no-handler" });
});

const flight = (key: string, node: string, sentMs = 0, bytes = 1): Flight => ({
  key,
  node,
  sentMs,
  command: {
    caller: "leaf1",
    domain: "orders",
    command: "Place",
    inbox: "_INBOX.a",
    body: new Uint8Array(bytes),
    headerText: "",
    mayRepeat: false,
  },
  attempt: { request: routeRequest(), tried: NOBODY, unannounced: false },
  reply: "_INBOX.a",
});

test("commands under way are known by answer and by leaf, and bounded in number and bytes", () => {
  const flights = new Flights({ most: 3, mostBytes: 100 });
  for (const [key, node, at] of [
    ["a", "x", 1],
    ["b", "y", 2],
    ["c", "x", 3],
  ] as const) {
    flights.add(flight(key, node, at));
  }
  expect([flights.countAt("x"), flights.countAt("y"), flights.countAt("z")]).toEqual([2, 1, 0]);
  expect(flights.end("a")?.node).toBe("x");
  expect(flights.end("a")).toBe(undefined);
  flights.add(flight("d", "y", 4));
  flights.add(flight("e", "y", 5));
  expect([flights.size, flights.end("b")]).toEqual([3, undefined]);
  expect(flights.endBefore(5).map(({ key }) => key)).toEqual(["c", "d"]);
  flights.add(flight("big", "z", 6, 100));
  expect([flights.size, flights.countAt("y"), flights.countAt("z")]).toEqual([1, 0, 1]);
  expect(flights.endAt("z").map(({ key }) => key)).toEqual(["big"]);
  expect(flights.size).toBe(0);
});

test("what came while the process stood still waits until it is clear who leads", async () => {
  vi.useFakeTimers();
  try {
    for (const leads of [true, false]) {
      const asked = Promise.withResolvers<boolean>();
      const gate = new PauseGate(() => asked.promise);
      const done: string[] = [];
      gate.start();
      gate.pass(() => done.push("before"));
      // The clock went on, the timers did not.
      vi.setSystemTime(Date.now());
      const now = performance.now();
      vi.spyOn(performance, "now").mockReturnValue(now + 5_000);
      gate.pass(() => done.push("during"));
      gate.pass(() => done.push("also"));
      expect(done).toEqual(["before"]);
      asked.resolve(leads);
      await asked.promise;
      await vi.advanceTimersByTimeAsync(0);
      gate.pass(() => done.push("after"));
      expect(done).toEqual(leads ? ["before", "during", "also", "after"] : ["before", "after"]);
      gate.stop();
      vi.restoreAllMocks();
    }
  } finally {
    vi.useRealTimers();
    vi.restoreAllMocks();
  }
});
