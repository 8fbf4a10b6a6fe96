import fc from "fast-check";
import { expect, test } from "vitest";
import { needsSequences } from "../../shared/consistency/resolve/crdt/typed-cells.ts";
import { judgeHistory, TRIED } from "../support/convergence/judge-history.ts";
import { PLANTED } from "../support/convergence/planted-mistakes.ts";

// npm run convergence does the same for as many histories as one likes.

const HISTORIES = 300;
/** Of a history; of documents, which cost more to make than to fold, fewer. */
const MOST_EVENTS = 24;
const MOST_EDITS = 10;

test.each(TRIED)(
  "%s: any order, repetition and partition come to what the naive model says",
  async (_, contract) => {
    const ofDocuments = Object.values(contract.fields).some(needsSequences);
    const plan = fc.record({
      seed: fc.nat({ max: 2 ** 31 }),
      nodes: fc.integer({ min: 2, max: 7 }),
      events: fc.integer({ min: 1, max: ofDocuments ? MOST_EDITS : MOST_EVENTS }),
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
    const history = { seed, nodes: 2 + (seed % 6), events: MOST_EVENTS };
    if (await judgeHistory(planted.contract, history, await planted.resolver())) caught++;
  }
  expect(caught).toBe(1);
});
