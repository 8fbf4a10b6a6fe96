import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CONDITIONS, type ConditionCode } from "../../shared/observe/condition-table.ts";
import { type ConditionChange, Conditions, isConditionCode } from "../../shared/observe/conditions.ts";

const codes = Object.keys(CONDITIONS) as ConditionCode[];

describe("the table of conditions", () => {
  it.each(codes)("%s is complete, depends on declared ones only, never on itself", (code) => {
    const { title, text, whatToDo, timeToVisibleMs, dependsOn = [] } = { dependsOn: [], ...CONDITIONS[code] };
    expect(title).not.toBe("");
    expect(text).toMatch(/\.$/);
    expect(whatToDo).toMatch(/\.$/);
    expect(timeToVisibleMs).toBeGreaterThanOrEqual(0);
    expect(dependsOn.filter((cause) => !isConditionCode(cause) || cause === code)).toEqual([]);
  });

  it.each(codes)("%s reads well without a detail, and leaves no blank with one", (code) => {
    const conditions = new Conditions({ now: () => 0 });
    conditions.raise(code);
    const [shown] = conditions.list(1e9);
    expect(`${shown?.text} ${shown?.whatToDo}`).not.toMatch(/[{}|]/);
  });

  it("has nobody wait for two that hide each other", () => {
    const causesOf = (code: string): readonly string[] =>
      isConditionCode(code) && "dependsOn" in CONDITIONS[code] ? (CONDITIONS[code].dependsOn ?? []) : [];
    const reaches = (from: string, to: string, depth = 0): boolean =>
      depth < 10 && causesOf(from).some((cause) => cause === to || reaches(cause, to, depth + 1));
    expect(codes.filter((code) => reaches(code, code))).toEqual([]);
  });
});

describe("conditions", () => {
  const at = (startMs = 0) => {
    const clock = { nowMs: startMs };
    return { clock, conditions: new Conditions({ now: () => clock.nowMs }) };
  };

  it("are shown once they have lasted long enough", () => {
    const { conditions } = at();
    conditions.raise("link-down");
    expect(conditions.list(1_999)).toEqual([]);
    expect(conditions.list(2_000).map(({ code }) => code)).toEqual(["link-down"]);
    expect(conditions.has("link-down")).toBe(true);
  });

  it("keep their beginning when raised again, and lose it when cleared", () => {
    const { clock, conditions } = at(1_000);
    conditions.raise("link-down");
    clock.nowMs = 5_000;
    conditions.raise("link-down", "refused");
    expect(conditions.list()).toMatchObject([
      { sinceMs: 1_000, text: expect.stringMatching(/\(refused\)$/) },
    ]);
    conditions.clear("link-down");
    conditions.raise("link-down");
    expect(conditions.list()).toEqual([]);
  });

  it("fill their blanks", () => {
    const { conditions } = at();
    conditions.raise("outbox-nearly-full", { percent: 91, runway: "2 h" });
    expect(conditions.list(5_000)[0]?.text).toBe(
      "The outbox is 91 % full; at the present rate it is full in 2 h.",
    );
    conditions.raise("outbox-nearly-full");
    expect(conditions.list(5_000)[0]?.text).toMatch(/is over 80 % full/);
  });

  it("hide those that only follow from them", () => {
    const { conditions } = at();
    conditions.raise("hub-unreachable");
    conditions.raise("server-down");
    expect(conditions.list(60_000).map(({ code }) => code)).toEqual(["server-down"]);
    conditions.clear("server-down");
    expect(conditions.list(60_000).map(({ code }) => code)).toEqual(["hub-unreachable"]);
  });

  it("are told apart by subject", () => {
    const { conditions } = at();
    conditions.raise("link-down", undefined, "leaf1");
    conditions.raise("link-down", undefined, "leaf2");
    conditions.raise("lagging", { origin: "leaf1" }, "leaf1");
    conditions.raise("lagging", { origin: "leaf3" }, "leaf3");
    expect(conditions.list(60_000).map(({ code, subject }) => `${code}/${subject}`)).toEqual([
      "link-down/leaf1",
      "link-down/leaf2",
      "lagging/leaf3",
    ]);
    conditions.raise("server-down");
    expect(conditions.list(60_000).map(({ code }) => code)).toEqual(["server-down"]);
    conditions.clear("link-down", "leaf1");
    expect(conditions.has("link-down", "leaf2")).toBe(true);
    expect(conditions.has("link-down", "leaf1")).toBe(false);
  });

  it("come worst first, and only some fail readiness", () => {
    const { conditions } = at();
    conditions.raise("coordinator-not-leading");
    conditions.raise("refused-events");
    conditions.raise("outbox-full");
    expect(conditions.list(60_000).map(({ severity }) => severity)).toEqual(["error", "warning", "info"]);
    expect(conditions.failing(60_000).map(({ code }) => code)).toEqual([
      "outbox-full",
      "coordinator-not-leading",
    ]);
  });

  it("tell of each change once, until nobody listens", () => {
    const { conditions } = at();
    const told: string[] = [];
    const end = conditions.subscribe(({ kind, condition }: ConditionChange) =>
      told.push(`${kind} ${condition.code}`),
    );
    conditions.clear("disk-full");
    conditions.raise("disk-full");
    conditions.raise("disk-full");
    conditions.set(true, "disk-full", { path: "/data" });
    conditions.set(false, "disk-full");
    end();
    conditions.raise("disk-full");
    expect(told).toEqual(["raised disk-full", "changed disk-full", "cleared disk-full"]);
  });

  it("hold exactly what was raised and not cleared, in whatever order", () => {
    const step = fc.tuple(fc.boolean(), fc.constantFrom(...codes), fc.constantFrom(undefined, "a", "b"));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { conditions } = at();
        const model = new Set<string>();
        for (const [raise, code, subject] of steps) {
          conditions.set(raise, code, undefined, subject);
          if (raise) model.add(`${code}/${subject}`);
          else model.delete(`${code}/${subject}`);
        }
        const shown = conditions.list(1e9).map(({ code, subject }) => `${code}/${subject}`);
        expect(shown.every((id) => model.has(id))).toBe(true);
        expect(model.size > 0).toBe(shown.length > 0);
      }),
    );
  });
});
