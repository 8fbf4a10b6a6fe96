import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK_PLACES, BlockSums } from "../../shared/consistency/proof/block-sums.ts";
import { differences, joined, type ListedEvent, splitRange } from "../../shared/consistency/proof/compare.ts";
import { compareSides, type Side } from "../../shared/consistency/proof/compare-sides.ts";
import { loggedPlace } from "../../shared/consistency/proof/logged-place.ts";
import { PlaceHash } from "../../shared/consistency/proof/place-hash.ts";
import { RecentHashes } from "../../shared/consistency/proof/recent-hashes.ts";
import { minus, NOTHING, plus, type Sum, sameSum, sumText } from "../../shared/consistency/proof/sum.ts";

const hasher = new PlaceHash();
const sumOfEvent = (id: string, place: number): Sum => {
  const { high, low } = hasher.of(id, place);
  return { count: 1, high, low };
};
const sumOfAll = (events: readonly [string, number][]): Sum =>
  events.reduce((sum, [id, place]) => plus(sum, sumOfEvent(id, place)), NOTHING);

const event = fc.tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 2 ** 45 }));

describe("sums", () => {
  it("are the same in any order, and another one with an event more, less, twice, elsewhere or renamed", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(event, { minLength: 1, maxLength: 50, selector: ([, place]) => place }),
        fc.infiniteStream(fc.nat()),
        (events, random) => {
          const sum = sumOfAll(events);
          const keys = new Map(events.map((one) => [one, random.next().value as number]));
          const shuffled = [...events].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
          expect(sumOfAll(shuffled)).toEqual(sum);
          const [[id, place], ...rest] = events as [[string, number], ...[string, number][]];
          const others: [string, number][][] = [
            rest,
            [...events, [id, place]],
            [[id, place + 1], ...rest],
            [[`${id}.`, place], ...rest],
            [[id, place + 2 ** 32], ...rest],
          ];
          for (const other of others) expect(sameSum(sumOfAll(other), sum)).toBe(false);
          expect(minus(sum, sumOfEvent(id, place))).toEqual(sumOfAll(rest));
        },
      ),
    );
  });

  it("spread over all their bits, also of ids that differ in one digit", () => {
    const seen = new Set<string>();
    for (let n = 0; n < 20_000; n++) seen.add(sumText(sumOfEvent(`019a-${n}`, 7)));
    for (let n = 0; n < 20_000; n++) seen.add(sumText(sumOfEvent("the same", n + 1)));
    expect(seen.size).toBe(40_000);
    const halves = [...seen].map((text) => [text.slice(0, 8), text.slice(8)]);
    // 40,000 of 2^32: fewer than one pair in each half is expected to meet by chance.
    for (const half of [0, 1]) expect(new Set(halves.map((one) => one[half])).size).toBeGreaterThan(39_990);
  });
});

describe("a place in the log", () => {
  const lines = "Cim-Log: 3-ab.17\r\nCim-Origin: leaf1 2 e 9\r\nCim-Id: x-1\r\nCim-Time: 5 6\r\n";
  const expected = { index: 17, id: "x-1", domain: "person", origin: { lane: "leaf1 2", seq: 9 } };

  it("is read as written, as stored and with JetStream's own headers before it", () => {
    expect(loggedPlace("cim.log.person.p1.Made", `${lines}X-Own: 1\r\n`)).toEqual(expected);
    expect(loggedPlace("cim.events.person.p1.Made", lines)).toEqual(expected);
    expect(loggedPlace("cim.events.person.p1.Made", `Nats-Batch-Id: a\r\n${lines}`)).toEqual(expected);
    const turned = "X-Own: 1\r\nCim-Id: x-1\r\nCim-Log: 3-ab.17\r\nCim-Origin: leaf1 2 e 9\r\n";
    expect(loggedPlace("cim.events.person.p1.Made", turned)).toEqual(expected);
  });

  it("is none without the log's headers, and a record's is its own", () => {
    for (const text of ["", "X-Cim-Log: 3-ab.17\r\n", "Cim-Log: nonsense\r\n", "Cim-Log: 3-ab.17\r\n"])
      expect(loggedPlace("cim.events.person.p1.Made", text)).toBeUndefined();
    const record = loggedPlace("cim.events._cim.marks", "Cim-Log: 3-ab.17\r\n");
    expect(record).toEqual({ index: 17, id: "cim.events._cim.marks", domain: "_cim", origin: null });
    // A strong commit never was in an outbox.
    const commit = lines.replace("leaf1 2 e 9", "leaf1 2 c 17");
    expect(loggedPlace("cim.events.person.p1.Made", commit)).toEqual({ ...expected, origin: null });
  });
});

describe("block sums", () => {
  it("count by block and group, forget what was purged, and come back from their cells", () => {
    const sums = new BlockSums();
    for (let place = 1; place <= 2 * BLOCK_PLACES; place++)
      sums.add(place % 2 ? "a" : "b", place, hasher.of("x", place), place + 100);
    const all = () => true;
    expect(sums.sum(0, 1, all).count).toBe(2 * BLOCK_PLACES);
    expect(sums.sum(1, 1, (group) => group === "a").count).toBe(BLOCK_PLACES / 2);
    expect(sums.spanOf(0)).toEqual({ first: 101, last: BLOCK_PLACES + 100 });
    const restored = new BlockSums();
    for (const { block, cells } of sums.takeChanges()) restored.restore(block, cells);
    expect(restored.sum(0, 1, all)).toEqual(sums.sum(0, 1, all));
    expect(sums.takeChanges()).toEqual([]);
    sums.add("a", 1, hasher.of("x", 1), 9_999);
    expect(sums.takeChanges().map(({ block }) => block)).toEqual([0]);
    sums.forget(0);
    sums.forgetBefore(BLOCK_PLACES + 101);
    expect(sums.blocks()).toEqual([1]);
  });

  it("tell from the newest hashes what a log came to a little earlier, and not what is too long ago", () => {
    const recent = new RecentHashes(8);
    const all = () => true;
    for (let place = 1; place <= 20; place++) recent.add(place % 2 ? "a" : "b", place, hasher.of("x", place));
    expect(recent.sumBetween(15, 20, all)).toEqual(
      sumOfAll([16, 17, 18, 19, 20].map((place) => ["x", place])),
    );
    expect(recent.sumBetween(15, 18, (group) => group === "b")).toEqual(
      sumOfAll([16, 18].map((place) => ["x", place])),
    );
    expect(recent.sumBetween(11, 20, all)).toBeUndefined();
    expect(recent.sumBetween(12, 20, all)?.count).toBe(8);
  });
});

describe("comparing", () => {
  const side = (events: readonly ListedEvent[]): Side => ({
    sums: async (ranges) =>
      ranges.map(({ from, to }) =>
        events
          .filter(({ place }) => place >= from && place <= to)
          .reduce((sum, { id, place, content }) => plus(sum, sumOfEvent(id + content, place)), NOTHING),
      ),
    list: async ({ from, to }) => events.filter(({ place }) => place >= from && place <= to),
  });
  const listed = (place: number, content = "c"): ListedEvent => ({
    place,
    id: `e${place}`,
    domain: "d",
    content,
  });

  it("finds every damage, whatever it is and wherever, and nothing else", async () => {
    const kind = fc.constantFrom("missing", "extra", "twice", "changed");
    const places = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { minLength: 0, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(places, kind, fc.constantFrom(undefined, 8), async (damaged, what, chunkBlocks) => {
        // Few events, wide apart, so that many blocks are looked through.
        const all = Array.from({ length: 500 }, (_, i) => listed((i + 1) * 997));
        const hit = new Set(damaged.map((n) => n * 997));
        const found = all.flatMap((one): ListedEvent[] => {
          if (!hit.has(one.place)) return [one];
          if (what === "missing") return [];
          if (what === "twice") return [one, one];
          if (what === "extra") return [one, { ...one, id: `${one.id}-more` }];
          return [{ ...one, content: "other" }];
        });
        const difference = await compareSides({
          reference: side(all),
          found: side(found),
          range: { from: 1, to: 500 * 997 },
          ...(chunkBlocks !== undefined && { chunkBlocks }),
          deep: true,
          settle: async () => undefined,
        });
        const named = difference?.events?.map((one) => `${one.kind} ${one.place}`) ?? [];
        expect(named).toEqual([...hit].sort((a, b) => a - b).map((place) => `${what} ${place}`));
      }),
      { numRuns: 60 },
    );
  });

  it("takes what has come meanwhile for no difference", async () => {
    const all = [listed(1), listed(2)];
    let looks = 0;
    const late: Side = {
      sums: async (ranges, isFresh) => await side(looks++ === 0 ? [listed(1)] : all).sums(ranges, isFresh),
      list: side(all).list,
    };
    const comparison = {
      reference: side(all),
      range: { from: 1, to: 2 },
      deep: true,
      settle: async () => undefined,
    };
    expect(await compareSides({ ...comparison, found: late })).toBeUndefined();
    expect(await compareSides({ ...comparison, found: side([listed(1)]) })).toMatchObject({
      events: [{ kind: "missing", place: 2 }],
    });
  });

  it("cuts ranges along blocks and joins neighbours", () => {
    const range = { from: 10, to: 3 * BLOCK_PLACES + 5 };
    expect(splitRange(range, 64)).toEqual([
      { from: 10, to: BLOCK_PLACES },
      { from: BLOCK_PLACES + 1, to: 2 * BLOCK_PLACES },
      { from: 2 * BLOCK_PLACES + 1, to: 3 * BLOCK_PLACES },
      { from: 3 * BLOCK_PLACES + 1, to: 3 * BLOCK_PLACES + 5 },
    ]);
    expect(splitRange(range, 2)).toHaveLength(2);
    expect(joined(splitRange(range, 64))).toEqual([range]);
    expect(splitRange({ from: 5, to: 4 }, 8)).toEqual([]);
  });

  it("names what was doubled and changed as both", () => {
    expect(differences([listed(1)], [listed(1), listed(1, "other")]).map(({ kind }) => kind)).toEqual([
      "twice",
      "changed",
    ]);
  });
});
