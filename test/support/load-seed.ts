/** A small seeded generator (mulberry32): a schedule that failed can be run again. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed in `CIM_TEST_SEED`, else one of the clock. */
export function chooseSeed(): number {
  const given = Number(process.env.CIM_TEST_SEED);
  return Number.isSafeInteger(given) && given > 0 ? given : Date.now() % 1_000_000;
}
