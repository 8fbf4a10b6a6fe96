import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue, type Portion } from "../../coordinator/sequencer/fair-queue.ts";
import { shipped } from "../simulation/desk.ts";

const block = (token: number, count: number, from = 1, bodyBytes = 10) => ({
  kind: "block" as const,
  token,
  incarnation: 1,
  events: Array.from({ length: count }, (_, i) => shipped(from + i, { body: Buffer.alloc(bodyBytes) })),
});
const sizes = (portions: readonly Portion[]) => portions.map(({ node, from, to }) => `${node} ${from}-${to}`);
const WIDE = 1_000_000;

describe("what waits, by origin", () => {
  it("gives a live origin its share beside one with a backlog", () => {
    const queue = new FairQueue();
    queue.push("backlog", block(1, 900));
    queue.push("live", block(2, 2));
    const portions = queue.take({ events: 100, bytes: WIDE });
    expect(sizes(portions)).toContain("live 0-2");
    const taken = portions.reduce((sum, { from, to }) => sum + to - from, 0);
    expect(taken).toBe(100);
  });

  it("gives what nobody else wants to the one that has more", () => {
    const queue = new FairQueue();
    queue.push("backlog", block(1, 50));
    queue.push("live", block(2, 1));
    const portions = queue.take({ events: 40, bytes: WIDE });
    const ofBacklog = portions.filter(({ node }) => node === "backlog");
    expect(ofBacklog.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(39);
  });

  it("gives one with a backlog no more than its bound beside others, and many with little the whole batch", () => {
    const queue = new FairQueue();
    queue.push("backlog", block(1, 900));
    for (let i = 0; i < 20; i++) queue.push(`live${i}`, block(2 + i, 4));
    const portions = queue.take({ events: 400, bytes: WIDE, eventsOfOne: 50 });
    const of = (name: string) =>
      portions.filter(({ node }) => node.startsWith(name)).reduce((sum, { from, to }) => sum + to - from, 0);
    expect([of("backlog"), of("live")]).toEqual([50, 80]);
  });

  it("keeps to the bound when the others have nothing waiting just now: theirs would wait for all of it", () => {
    const queue = new FairQueue();
    queue.push("backlog", block(1, 900));
    expect(sizes(queue.take({ events: 400, bytes: WIDE, eventsOfOne: 50 }))).toEqual(["backlog 0-50"]);
  });

  it("lets no origin wait longer than a round when there are more than fit", () => {
    const queue = new FairQueue();
    const nodes = ["a", "b", "c", "d", "e"];
    for (const node of nodes) queue.push(node, block(1, 10));
    const served = new Set<string>();
    for (let i = 0; i < nodes.length; i++)
      for (const { node } of queue.take({ events: 1, bytes: WIDE })) served.add(node);
    expect([...served].sort()).toEqual(nodes);
  });

  it("takes one that is larger than a batch alone", () => {
    const queue = new FairQueue();
    queue.push("a", block(1, 2, 1, 5000));
    queue.push("b", block(2, 1));
    expect(sizes(queue.take({ events: 10, bytes: 1000 }))).toEqual(["a 0-1"]);
  });

  it("keeps an incarnation between the blocks it stands between", () => {
    const queue = new FairQueue();
    queue.push("a", block(1, 2));
    queue.push("a", { kind: "incarnate", token: 2, predecessor: 1, common: { seq: 1, print: "x" } });
    queue.push("a", block(3, 1));
    const portions = queue.take({ events: 10, bytes: WIDE });
    expect(portions.map(({ waiting }) => waiting.token)).toEqual([1, 2, 3]);
    expect(queue.empty).toBe(true);
  });

  it("hands out every event once and in order, whatever comes and however little fits, and counts its bytes", () => {
    const arrivals = fc.array(
      fc.record({ node: fc.constantFrom("a", "b", "c"), count: fc.integer({ min: 1, max: 12 }) }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(
        arrivals,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 150, max: 2000 }),
        (all, events, bytes) => {
          const queue = new FairQueue();
          const next = new Map<string, number>();
          const pushed = new Map<string, number[]>();
          all.forEach(({ node, count }, token) => {
            const from = next.get(node) ?? 1;
            next.set(node, from + count);
            queue.push(node, block(token, count, from));
            pushed.set(node, [
              ...(pushed.get(node) ?? []),
              ...Array.from({ length: count }, (_, i) => from + i),
            ]);
          });
          const taken = new Map<string, number[]>();
          const whole = new Set<number>();
          for (let rounds = 0; !queue.empty; rounds++) {
            expect(rounds).toBeLessThan(500);
            const portions = queue.take({ events, bytes });
            expect(portions.length).toBeGreaterThan(0);
            for (const { node, waiting, from, to, whole: isWhole } of portions) {
              if (waiting.kind !== "block") continue;
              const seqs = waiting.events.slice(from, to).map(({ seq }) => seq);
              taken.set(node, [...(taken.get(node) ?? []), ...seqs]);
              if (isWhole) whole.add(waiting.token);
            }
          }
          expect(taken).toEqual(pushed);
          expect(whole.size).toBe(all.length);
          expect(queue.bytes).toBe(0);
        },
      ),
    );
  });

  it("names every token that waited when it is cleared, once", () => {
    const queue = new FairQueue();
    queue.push("a", block(1, 5));
    queue.push("b", block(2, 1));
    queue.take({ events: 2, bytes: WIDE });
    expect(queue.clear().map(({ token }) => token)).toEqual([1]);
    expect(queue.empty).toBe(true);
    expect(queue.bytes).toBe(0);
  });
});
