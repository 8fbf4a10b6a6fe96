import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { ClientBusy } from "../../shared/client/append-errors.ts";
import { AppendQueue, type Written } from "../../shared/client/append-queue.ts";
import { encodeEvent } from "../../shared/client/event-to-append.ts";
import type { Unit } from "../../shared/client/write-events.ts";

const limits = { eventBytes: 10 * 1024 * 1024, node: "test" };
const unit = (events = 1, bytes = 100): Unit =>
  Array.from({ length: events }, () =>
    encodeEvent({ domain: "d", type: "T", data: new Uint8Array(bytes) }, limits),
  );

const WIDE = { bytes: 100_000_000, events: 100_000 };

/** Stores everything, in order, and remembers the groups. */
function storing() {
  const groups: Unit[][] = [];
  let seq = 0;
  const write = async (group: readonly Unit[]): Promise<Written> => {
    groups.push([...group]);
    return { settled: group.map((one) => one.map(() => ({ seq: ++seq }))) };
  };
  return { groups, write };
}

test("what arrives while a group is written is the next group, in order and not cut apart", async () => {
  const { groups, write } = storing();
  const queue = new AppendQueue({ write, limits: WIDE });
  const units = [
    unit(),
    unit(400),
    unit(500),
    unit(200),
    unit(1000),
    ...Array.from({ length: 1500 }, () => unit()),
  ];
  const stored = await Promise.all(units.map((one) => queue.append(one)));
  expect(groups.map((group) => group.flat().length)).toEqual([901, 200, 1000, 1000, 500]);
  expect(stored.flat().map(({ seq }) => seq)).toEqual(Array.from({ length: 3601 }, (_, n) => n + 1));
});

test("a group is bounded in bytes, but one unit always fits", async () => {
  const { groups, write } = storing();
  const queue = new AppendQueue({ write, limits: WIDE });
  const sizes = [3_000_000, 3_000_000, 9_000_000, 100, 100];
  await Promise.all(sizes.map((bytes) => queue.append(unit(1, bytes))));
  expect(groups.map((group) => group.length)).toEqual([1, 1, 1, 2]);
});

/** Stores a group each time it is told to. */
function storingWhenTold() {
  const { groups, write } = storing();
  let told = Promise.withResolvers<void>();
  return {
    groups,
    write: async (group: readonly Unit[]) => {
      await told.promise;
      told = Promise.withResolvers<void>();
      return await write(group);
    },
    tell: () => told.resolve(),
  };
}

test.each([
  ["bytes", { bytes: 10_000, events: 1_000 }, "maxQueuedBytes"],
  ["events", { bytes: 1_000_000, events: 7 }, "maxQueuedEvents"],
] as const)(
  "what waits is bounded in %s: more is refused by name, and fits again later",
  async (_, limits, name) => {
    const { groups, write, tell } = storingWhenTold();
    const queue = new AppendQueue({ limits, write });
    const calls = Array.from({ length: 40 }, () =>
      queue.append(unit(1, 1_000)).catch((error: unknown) => error),
    );
    tell();
    const results = await Promise.all(calls);
    const refused = results.filter((one) => one instanceof ClientBusy);
    expect(refused).toHaveLength(40 - 7);
    expect(results.slice(0, 7).every(Array.isArray)).toBe(true);
    expect(refused[0]).toMatchObject({
      limit: { name, max: name === "maxQueuedBytes" ? 10_000 : 7, actual: expect.any(Number) },
      message: expect.stringMatching(
        new RegExp(`^\\d+ (bytes|events) would wait to be written, ${name} is [^\n]+$`),
      ),
    });
    expect(groups.flat()).toHaveLength(7);
    tell();
    expect(await queue.append(unit(1, 1_000))).toHaveLength(1);
  },
);

test("whoever waits for room first is not refused, and a unit larger than all that may wait is taken alone", async () => {
  const { groups, write } = storing();
  const queue = new AppendQueue({ limits: { bytes: 5_000, events: 10 }, write });
  const appends: Promise<unknown>[] = [];
  for (let n = 0; n < 50; n++) {
    await queue.room();
    appends.push(queue.append(unit(1, n === 20 ? 1_000_000 : 700)));
    if (n === 19) await Promise.all(appends);
  }
  expect(await Promise.all(appends)).toHaveLength(50);
  expect(groups.flat()).toHaveLength(50);
});

test("what is given up makes room at once, and is not sent", async () => {
  const { groups, write, tell } = storingWhenTold();
  const queue = new AppendQueue({ limits: { bytes: 1_000_000, events: 4 }, write });
  const first = queue.append(unit());
  // The first is on its way when another turn has come.
  await nextTurn();
  await nextTurn();
  const stop = new AbortController();
  const given = Array.from({ length: 3 }, () =>
    queue.append(unit(), stop.signal).catch((error: unknown) => error),
  );
  await expect(queue.append(unit())).rejects.toBeInstanceOf(ClientBusy);
  stop.abort();
  expect(await Promise.all(given)).toEqual(Array(3).fill(expect.objectContaining({ outcome: "not-stored" })));
  const last = queue.append(unit());
  tell();
  expect(await first).toEqual([{ seq: 1 }]);
  tell();
  expect(await last).toEqual([{ seq: 2 }]);
  expect(groups.flat()).toHaveLength(2);
});

test("when waiting is in vain all fail at once, and later ones are tried again", async () => {
  let calls = 0;
  const { write } = storing();
  const queue = new AppendQueue({
    limits: WIDE,
    write: async (group) => {
      if (calls++ > 0) return await write(group);
      return {
        settled: group.map(() => new Error("no answer")),
        failRest: () => new Error("no answer either"),
      };
    },
  });
  const results = await Promise.allSettled(Array.from({ length: 100 }, () => queue.append(unit(20))));
  const reasons = results.map((one) => one.status === "rejected" && (one.reason as Error).message);
  expect(new Set(reasons)).toEqual(new Set(["no answer", "no answer either"]));
  expect(calls).toBe(1);
  expect(await queue.append(unit())).toEqual([{ seq: 1 }]);
});

test("a write that throws fails its group and hangs nobody", async () => {
  let calls = 0;
  const { write } = storing();
  const queue = new AppendQueue({
    limits: WIDE,
    write: async (group) => {
      if (calls++ === 0) throw new Error("a bug");
      return await write(group);
    },
  });
  await expect(queue.append(unit())).rejects.toThrow("a bug");
  expect(await queue.append(unit())).toEqual([{ seq: 1 }]);
});
