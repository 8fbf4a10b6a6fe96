import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Evidence, type Verdict, verdictOf } from "../../coordinator/health/verdict.ts";

const evidence: fc.Arbitrary<Evidence> = fc.record({
  link: fc.constantFrom("up", "down", "none"),
  agent: fc.constantFrom("speaks", "late", "awaited", "silent", "goodbye"),
  server: fc.constantFrom("answers", "silent", "unasked"),
  probe: fc.constantFrom("answers", "refused", "silent", "none"),
});

const always = (holds: (evidence: Evidence, verdict: Verdict) => boolean) =>
  fc.assert(
    fc.property(evidence, (given) => holds(given, verdictOf(given))),
    { numRuns: 1_000 },
  );

describe("a verdict", () => {
  it.each<[string, Partial<Evidence>, Partial<Verdict>]>([
    ["speaks", {}, { state: "up", suspect: false, part: null }],
    ["is late", { agent: "late" }, { state: "up", suspect: true }],
    ["speaks, its API does not", { server: "silent" }, { state: "up", suspect: true }],
    ["speaks by another way than its link", { link: "down" }, { state: "up" }],
    ["said goodbye", { agent: "goodbye" }, { state: "down", part: "agent" }],
    [
      "is silent, its server answers",
      { agent: "silent", server: "answers" },
      { state: "down", part: "agent" },
    ],
    ["is black-holed", { agent: "silent", server: "silent", probe: "silent" }, { state: "unreachable" }],
    ["is cut off", { agent: "silent", link: "down", probe: "none" }, { state: "unreachable" }],
    [
      "is cut off, answers probes",
      { agent: "silent", link: "down", probe: "answers" },
      { state: "unreachable" },
    ],
    [
      "lost its server",
      { agent: "silent", link: "down", probe: "refused" },
      { state: "down", part: "server" },
    ],
    ["is linked, though its url refuses", { agent: "silent", probe: "refused" }, { state: "unreachable" }],
    ["has just linked", { agent: "awaited" }, { state: "unreachable" }],
    ["was never seen", { link: "none", agent: "silent" }, { state: "unreachable" }],
  ])("of a node that %s", (_, given, wanted) => {
    const calm: Evidence = { link: "up", agent: "speaks", server: "unasked", probe: "none" };
    expect(verdictOf({ ...calm, ...given })).toMatchObject(wanted);
  });

  it("is down only where something answered that proves it", () => {
    always(({ agent, server, probe }, { state }) => {
      const proof = agent === "goodbye" || server === "answers" || probe === "refused";
      return state !== "down" || proof;
    });
  });

  it("is up where the agent speaks or is only late, whatever else is silent", () => {
    always(({ agent }, { state }) => (state === "up") === (agent === "speaks" || agent === "late"));
  });

  it("names the part when it is down, and only then", () => {
    always((_, { state, part }) => (state === "down") === (part !== null));
  });
});
