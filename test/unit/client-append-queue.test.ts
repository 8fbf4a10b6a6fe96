import { expect, test } from "vitest";
import { AppendQueue, type Written } from "../../shared/client/append-queue.ts";
import { encodeEvent } from "../../shared/client/event-to-append.ts";
import type { Unit } from "../../shared/client/write-events.ts";

const limits = { eventBytes: 10 * 1024 * 1024, node: "test" };
const unit = (events = 1, bytes = 100): Unit =>
  Array.from({ length: events }, () =>
    encodeEvent({ domain: "d", type: "T", data: new Uint8Array(bytes) }, limits),
  );

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
  const queue = new AppendQueue({ write, maxBytes: 100_000_000 });
  const units = [
    unit(),
    unit(400),
    unit(500),
    unit(200),
    unit(1000),
    ...Array.from({ length: 1500 }, () => unit()),
  ];
  const stored = await Promise.all(units.map((one) => queue.append(() => one)));
  expect(groups.map((group) => group.flat().length)).toEqual([901, 200, 1000, 1000, 500]);
  expect(stored.flat().map(({ seq }) => seq)).toEqual(Array.from({ length: 3601 }, (_, n) => n + 1));
});

test("a group is bounded in bytes, but one unit always fits", async () => {
  const { groups, write } = storing();
  const queue = new AppendQueue({ write, maxBytes: 100_000_000 });
  const sizes = [3_000_000, 3_000_000, 9_000_000, 100, 100];
  await Promise.all(sizes.map((bytes) => queue.append(() => unit(1, bytes))));
  expect(groups.map((group) => group.length)).toEqual([1, 1, 1, 2]);
});

test("no more is encoded than may wait, and first come is first written", async () => {
  const release = Promise.withResolvers<void>();
  const { groups, write } = storing();
  const maxBytes = 10_000;
  const queue = new AppendQueue({
    maxBytes,
    write: async (group) => {
      await release.promise;
      return await write(group);
    },
  });
  let encodedBytes = 0;
  const order: number[] = [];
  const appends = Array.from({ length: 200 }, (_, n) =>
    queue
      .append(() => {
        const made = unit(1, 700);
        encodedBytes += made[0]?.bytes ?? 0;
        return made;
      })
      .then(() => order.push(n)),
  );
  expect(encodedBytes).toBeGreaterThan(maxBytes / 2);
  expect(encodedBytes).toBeLessThan(maxBytes + 1_500);
  release.resolve();
  await Promise.all(appends);
  await queue.idle();
  expect(order).toEqual(Array.from({ length: 200 }, (_, n) => n));
  expect(Math.max(...groups.map((group) => group.length))).toBeLessThan(20);
});

test("an event that can't be encoded fails its caller alone", async () => {
  const { write } = storing();
  const queue = new AppendQueue({ write, maxBytes: 1_000_000 });
  const bad = queue.append(() => {
    throw new Error("bad event");
  });
  const [outcome, good] = await Promise.allSettled([bad, queue.append(() => unit())]);
  expect(outcome).toMatchObject({ status: "rejected", reason: { message: "bad event" } });
  expect(good).toEqual({ status: "fulfilled", value: [{ seq: 1 }] });
});

test("when waiting is in vain all fail at once, and later ones are tried again", async () => {
  let calls = 0;
  const { write } = storing();
  const queue = new AppendQueue({
    maxBytes: 5_000,
    write: async (group) => {
      if (calls++ > 0) return await write(group);
      return {
        settled: group.map(() => new Error("no answer")),
        failRest: () => new Error("no answer either"),
      };
    },
  });
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => queue.append(() => unit(1, 1_000))),
  );
  const reasons = results.map((one) => one.status === "rejected" && (one.reason as Error).message);
  expect(new Set(reasons)).toEqual(new Set(["no answer", "no answer either"]));
  expect(calls).toBe(1);
  expect(await queue.append(() => unit())).toEqual([{ seq: 1 }]);
});

test("a write that throws fails its group and hangs nobody", async () => {
  let calls = 0;
  const { write } = storing();
  const queue = new AppendQueue({
    maxBytes: 1_000_000,
    write: async (group) => {
      if (calls++ === 0) throw new Error("a bug");
      return await write(group);
    },
  });
  await expect(queue.append(() => unit())).rejects.toThrow("a bug");
  expect(await queue.append(() => unit())).toEqual([{ seq: 1 }]);
});
