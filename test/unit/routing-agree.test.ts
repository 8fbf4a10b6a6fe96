import fc from "fast-check";
import { expect, test } from "vitest";
import { decide } from "../../coordinator/routing/decide.ts";
import { explain } from "../../coordinator/routing/explain.ts";
import { HandlerGroups } from "../../coordinator/routing/handler-groups.ts";
import { RequestKinds } from "../../coordinator/routing/request-kinds.ts";
import { type RouteRequest, STRATEGIES } from "../../coordinator/routing/route-node.ts";
import { RouteView } from "../../coordinator/routing/route-view.ts";
import { routeNode, routeRequest } from "../support/route-fleet.ts";

/**
 * `decide` goes by lists that are kept up to date change by change, `explain` looks at every node: whatever happens to the
 * fleet in between, and in whatever order it is asked, they must choose alike.
 */

const coordinates = fc.option(
  fc.record({ latitude: fc.integer({ min: -80, max: 80 }), longitude: fc.integer({ min: -179, max: 179 }) }),
);
const region = fc.constantFrom("eu", "us", "asia");
const words = <T extends string>(...all: T[]) => fc.subarray(all);

const name = fc.integer({ min: 0, max: 7 }).map((n) => `leaf${n}`);
const node = fc
  .record({
    name,
    region,
    coordinates,
    capabilities: words("gpu", "camera", "arm"),
    health: fc.constantFrom("up", "up", "up", "unreachable", "down"),
    doubtful: fc.boolean(),
    domains: fc.constantFrom(["*"], ["orders"], ["person", "orders"], []),
    handlers: fc.constantFrom(null, ["orders.Place"], ["orders.>"], ["*.*"], []),
    lagS: fc.constantFrom(null, 0, 59, 61),
    rttMs: fc.constantFrom(null, 0.2, 20, 300),
  })
  .map((over) => routeNode(over.name, over));
const request = fc.record({
  domain: fc.constantFrom("orders", "person"),
  command: fc.constantFrom("Place", "Cancel"),
  require: words("gpu", "camera"),
  near: fc.option(fc.record({ region: fc.option(region), coordinates })),
  strategy: fc.constantFrom(...STRATEGIES),
  maxLagS: fc.constantFrom(null, 60),
  unannounced: fc.boolean(),
});
const step = fc.oneof(
  { weight: 4, arbitrary: node.map((one) => ({ do: "set", node: one }) as const) },
  { weight: 1, arbitrary: name.map((one) => ({ do: "remove", name: one }) as const) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("load"), name, inFlight: fc.nat(9) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("ask"), which: fc.nat(2), turn: fc.nat(99) }),
  },
);

test("decide and explain agree, whatever happened to the fleet before", () => {
  fc.assert(
    // Few requests, asked again and again: what is kept of an answer must follow every change.
    fc.property(
      fc.tuple(request, request, request),
      fc.array(step, { maxLength: 150, size: "max" }),
      (requests, steps) => {
        const view = new RouteView();
        for (const one of steps) {
          if (one.do === "set") view.set(one.node);
          else if (one.do === "remove") view.remove(one.name);
          else if (one.do === "load") view.setLoad(one.name, { inFlight: one.inFlight });
          else {
            // An equal one, never the same: what is kept must be found by what is asked for.
            const asked = structuredClone(requests[one.which] as (typeof requests)[number]);
            const decision = decide(asked, view, one.turn);
            const { chosen, refused, candidates } = explain(asked, view, one.turn);
            expect(decision.kind === "chosen" ? decision.node.name : null).toBe(chosen);
            expect(decision.kind === "refused" ? decision.reason : null).toBe(refused);
            const best = candidates.filter((candidate) => candidate.best).map((candidate) => candidate.node);
            expect(view.best(asked).map((entry) => entry.node.name)).toEqual(best);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("equal requests are of one kind, others of another", () => {
  // All that a choice depends on; of the command that is what handlers it has.
  const words = ({ strategy, domain, command, maxLagS, unannounced, require, near }: RouteRequest) =>
    JSON.stringify([
      strategy,
      domain,
      unannounced || command,
      maxLagS,
      require,
      strategy === "location-aware" && near,
    ]);
  fc.assert(
    fc.property(request, request, (one, other) => {
      const handlers = new HandlerGroups();
      for (const command of ["Place", "Cancel"]) handlers.note([`*.${command}`]);
      const kinds = new RequestKinds(handlers);
      expect(kinds.of(structuredClone(one))).toBe(kinds.of(one));
      expect(kinds.of(one) === kinds.of(other)).toBe(words(one) === words(other));
    }),
    { numRuns: 500 },
  );
});

test("a region that no longer has a place on the earth is near nobody", () => {
  const view = new RouteView();
  const near = { region: "eu", coordinates: null };
  const ask = routeRequest({ strategy: "location-aware", near });
  view.set(routeNode("far", { region: "asia", coordinates: { latitude: 35, longitude: 139 } }));
  view.set(routeNode("none", { region: "asia", rttMs: 1 }));
  view.set(routeNode("eu", { region: "eu", coordinates: { latitude: 52, longitude: 13 }, health: "down" }));
  expect(decide(ask, view, 0)).toMatchObject({ node: { name: "far" } });
  view.set(routeNode("eu", { region: "eu", health: "down" }));
  expect(decide(ask, view, 0)).toMatchObject({ node: { name: "none" } });
  expect(explain(ask, view, 0).chosen).toBe("none");
});

test("also after more changes than are kept", () => {
  const view = new RouteView();
  const ask = routeRequest();
  for (let n = 0; n < 5; n++) view.set(routeNode(`leaf${n}`));
  decide(ask, view, 0);
  for (let n = 0; n < 3000; n++) {
    view.set(routeNode(`leaf${n % 5}`, { health: n % 3 === 0 ? "down" : "up", lagS: n % 50 }));
    if (n % 700 === 0 || n > 2990) {
      const { chosen } = explain(ask, view, n);
      const decision = decide(ask, view, n);
      expect(decision.kind === "chosen" ? decision.node.name : null).toBe(chosen);
    }
  }
});
