import fc from "fast-check";
import { expect, test } from "vitest";
import { judgeHistory, TRIED } from "../support/convergence/judge-history.ts";
import { PLANTED } from "../support/convergence/planted-mistakes.ts";

// npm run convergence does the same for as many histories as one likes.

const HISTORIES = 300;

test.each(TRIED)(
  "%s: any order, repetition and partition come to what the naive model says",
  async (_, contract) => {
    const plan = fc.record({
      seed: fc.nat({ max: 2 ** 31 }),
      nodes: fc.integer({ min: 2, max: 7 }),
      events: fc.integer({ min: 1, max: 24 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async (history) => {
        expect(await judgeHistory(contract, history)).toBeUndefined();
      }),
      { numRuns: HISTORIES },
    );
  },
);

test.each(PLANTED.map((planted) => [planted.mistake, planted] as const))("caught: %s", async (_, planted) => {
  let caught = 0;
  for (let seed = 0; seed < HISTORIES && caught === 0; seed++) {
    const history = { seed, nodes: 2 + (seed % 6), events: 24 };
    if (await judgeHistory(planted.contract, history, await planted.resolver())) caught++;
  }
  expect(caught).toBe(1);
});
