import { describe, expect, it } from "vitest";
import { planCopy } from "../../agent/downlink/copy-domains.ts";

const at = null;

describe("what a copy is to become", () => {
  it("nothing, when it has what is wanted", () => {
    expect(planCopy({ live: ["*"], at, filling: null }, ["*"])).toEqual({
      live: ["*"],
      filling: null,
      purge: false,
    });
  });

  it("fills what is new, keeps what it has", () => {
    expect(planCopy({ live: ["person"], at, filling: null }, ["person", "orders"])).toEqual({
      live: ["person"],
      filling: { domains: ["orders"], done: 0 },
      purge: false,
    });
  });

  it("goes on with a fill that was interrupted", () => {
    const before = { live: ["person"], at, filling: { domains: ["orders", "stock"], done: 500 } };
    expect(planCopy(before, ["stock", "person", "orders"])).toMatchObject({
      filling: before.filling,
      purge: false,
    });
  });

  it.each([[["person", "orders", "stock"]], [["person", "stock"]], [["person"]], [["*"]]])(
    "purges what an interrupted fill brought when it is not gone on with: %j wanted",
    (wanted) => {
      const before = { live: ["person"], at, filling: { domains: ["orders"], done: 500 } };
      const plan = planCopy(before, wanted);
      expect(plan).toMatchObject({ live: ["person"], purge: true });
      expect(plan.filling?.done ?? 0).toBe(0);
    },
  );

  it("purges what is wanted no longer", () => {
    const plan = planCopy({ live: ["person", "orders"], at, filling: null }, ["person"]);
    expect(plan).toEqual({ live: ["person"], filling: null, purge: true });
    expect(planCopy({ live: ["*"], at, filling: null }, ["person"]).purge).toBe(true);
  });

  it("purges again after a crash amid a purge, whatever is wanted then", () => {
    const before = { live: ["person"], at, filling: null, purging: true };
    expect(planCopy(before, ["person", "orders"])).toEqual({
      live: ["person"],
      filling: { domains: ["orders"], done: 0 },
      purge: true,
    });
  });
});
