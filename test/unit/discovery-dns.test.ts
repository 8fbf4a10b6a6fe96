import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DnsCache } from "../../shared/discovery/dns/dns-cache.ts";
import {
  type DnsAnswer,
  encodeQuestion,
  readReply,
  UDP_BYTES,
} from "../../shared/discovery/dns/dns-message.ts";
import { entryOf, servicesOf } from "../../shared/discovery/dns/dns-nodes.ts";

const QUESTION = { name: "_nats._tcp.cim.test", type: "SRV" } as const;

function response(change: Partial<Packet> = {}): Buffer {
  return encode({
    type: "response",
    id: 7,
    flags: AUTHORITATIVE_ANSWER,
    questions: [{ ...QUESTION, class: "IN" }],
    ...change,
  });
}

const srv = (target: string, more: object = {}) => ({
  type: "SRV" as const,
  name: QUESTION.name,
  ttl: 60,
  data: { port: 4222, target, priority: 0, weight: 0, ...more },
});
const soa = (ttl: number, minimum: number): Answer => ({
  type: "SOA",
  name: "cim.test",
  ttl,
  data: { mname: "a", rname: "b", serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});

describe("a question", () => {
  it("offers room for an answer, unless that is not understood", () => {
    const [opt] = decode(encodeQuestion(QUESTION, 7, true)).additionals ?? [];
    expect(opt).toMatchObject({ type: "OPT", udpPayloadSize: UDP_BYTES });
    expect(decode(encodeQuestion(QUESTION, 7, false)).additionals).toEqual([]);
  });
});

describe("a reply", () => {
  it("is read in small letters, with what came along", () => {
    const bytes = response({
      answers: [srv("Leaf-A.cim.test.")],
      additionals: [
        { type: "A", name: "LEAF-A.cim.test", ttl: 30, data: "10.0.0.1" },
        { type: "TXT", name: "leaf-a.cim.test", ttl: 40, data: ["region=eu"] },
      ],
    });
    expect(readReply(bytes, QUESTION, 7)).toEqual({
      kind: "answer",
      ttlS: 60,
      records: [
        {
          type: "SRV",
          name: QUESTION.name,
          ttlS: 60,
          priority: 0,
          weight: 0,
          port: 4222,
          target: "leaf-a.cim.test",
        },
      ],
      additional: [
        { type: "A", name: "leaf-a.cim.test", ttlS: 30, address: "10.0.0.1" },
        { type: "TXT", name: "leaf-a.cim.test", ttlS: 40, strings: ["region=eu"] },
      ],
    });
  });

  it("by way of aliases counts as long as the shortest of them, and may go in a circle", () => {
    const alias = (name: string, data: string, ttl: number): Answer => ({ type: "CNAME", name, ttl, data });
    const through = response({
      answers: [
        alias(QUESTION.name, "b.test", 5),
        alias("b.test", "c.test", 50),
        { ...srv("leaf-a"), name: "c.test" },
      ],
    });
    expect(readReply(through, QUESTION, 7)).toMatchObject({ ttlS: 5, records: [{ target: "leaf-a" }] });
    const circle = response({
      answers: [alias(QUESTION.name, "b.test", 5), alias("b.test", QUESTION.name, 5)],
      authorities: [soa(60, 60)],
    });
    expect(readReply(circle, QUESTION, 7)).toMatchObject({ kind: "answer", records: [] });
    // What nobody asked for is not taken.
    const stray = response({ answers: [{ ...srv("leaf-a"), name: "other.test" }] });
    expect(readReply(stray, QUESTION, 7)).toMatchObject({ kind: "answer", records: [] });
  });

  it.each([
    ["the SOA's own time", [soa(30, 300)], 30],
    ["the SOA's minimum", [soa(300, 30)], 30],
    ["no time without an SOA", [], undefined],
  ])("that there is nothing counts by %s", (_, authorities, ttlS) => {
    expect(readReply(response({ authorities }), QUESTION, 7)).toEqual({
      kind: "answer",
      records: [],
      additional: [],
      ttlS,
    });
  });

  it("that only names other servers is none", () => {
    const referral = response({
      flags: 0,
      authorities: [{ type: "NS", name: "test", ttl: 9, data: "ns.test" }],
    });
    expect(readReply(referral, QUESTION, 7)).toMatchObject({ kind: "refused" });
  });

  it("with a time beyond all measure counts for none (RFC 2181)", () => {
    const bytes = response({ answers: [{ ...srv("leaf-a"), ttl: 0xffff_ffff }] });
    expect(readReply(bytes, QUESTION, 7)).toMatchObject({ ttlS: 0 });
  });

  it("that was cut off is asked for again", () => {
    expect(readReply(response({ flags: TRUNCATED_RESPONSE }), QUESTION, 7)).toEqual({ kind: "truncated" });
    const whole = response({ flags: TRUNCATED_RESPONSE, answers: [srv("leaf-a.cim.test")] });
    expect(readReply(whole.subarray(0, whole.length - 3), QUESTION, 7)).toEqual({ kind: "truncated" });
  });

  it("made of any bytes is never more than foreign", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const reply = readReply(Buffer.from(bytes), QUESTION, 7);
        // By chance it may say of itself that it is cut off or refuses; it is never an answer.
        return reply.kind !== "answer";
      }),
      { numRuns: 500 },
    );
  });

  it("with any bytes of it changed gives names, ports and times that are some", () => {
    const honest = response({
      answers: [srv("leaf-a.cim.test"), srv("leaf-b.cim.test")],
      authorities: [soa(1, 1)],
      additionals: [
        { type: "A", name: "leaf-a.cim.test", ttl: 30, data: "10.0.0.1" },
        { type: "AAAA", name: "leaf-b.cim.test", ttl: 30, data: "fd00::1" },
        { type: "TXT", name: "leaf-a.cim.test", ttl: 40, data: ["region=eu", "capabilities=gpu"] },
      ],
    });
    const change = fc.tuple(fc.integer({ min: 2, max: honest.length - 1 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), (changes) => {
        const bytes = Buffer.from(honest);
        for (const [at, value] of changes) bytes[at] = value;
        const reply = readReply(bytes, QUESTION, 7);
        if (reply.kind !== "answer") return;
        for (const service of servicesOf(reply.records)) {
          expect(service.port).toBeLessThanOrEqual(65_535);
          const entry = entryOf(service, reply.additional, reply.additional);
          expect(typeof entry.name).toBe("string");
        }
        for (const { ttlS } of [...reply.records, ...reply.additional]) {
          expect(ttlS).toBeGreaterThanOrEqual(0);
          expect(ttlS).toBeLessThan(2 ** 31);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a node", () => {
  const record = { name: QUESTION.name, ttlS: 1, type: "SRV", priority: 0, weight: 0, port: 4222 } as const;
  const texts = (...strings: string[]) => [{ type: "TXT", name: "x", ttlS: 1, strings } as const];
  const at = (type: "A" | "AAAA", address: string) => ({ type, name: "x", ttlS: 1, address }) as const;

  it("is named by its target, or by what its target says", () => {
    const service = { ...record, target: "leaf-a.cim.test" };
    expect(entryOf(service, [], [])).toEqual({ name: "leaf-a", url: "nats://leaf-a.cim.test:4222" });
    expect(
      entryOf(service, texts("node=edge7", "Region=eu", "region=us", "capabilities=gpu, ssd,", "=x"), []),
    ).toEqual({
      name: "edge7",
      url: "nats://leaf-a.cim.test:4222",
      region: "eu",
      capabilities: ["gpu", "ssd"],
    });
  });

  it("says where leaves link to it, if it is a hub", () => {
    const service = { ...record, target: "hub.cim.test" };
    expect(entryOf(service, texts("leafport=7422"), [at("A", "10.0.0.1")])).toMatchObject({
      name: "hub",
      leafUrl: "nats-leaf://10.0.0.1:7422",
    });
  });

  it("is reached at its address, the same one each time", () => {
    const service = { ...record, target: "leaf-a.cim.test" };
    const two = [at("A", "10.0.0.2"), at("A", "10.0.0.1")];
    expect(entryOf(service, [], two).url).toBe("nats://10.0.0.1:4222");
    expect(entryOf(service, [], two.toReversed()).url).toBe("nats://10.0.0.1:4222");
    expect(entryOf(service, [], [at("AAAA", "fd00::1")]).url).toBe("nats://[fd00::1]:4222");
  });

  it("is listed once, as the most preferred of its records has it", () => {
    const services = servicesOf([
      { ...record, target: "b", port: 3, priority: 20 },
      { ...record, target: "b", port: 2, priority: 10 },
      { ...record, target: "a", priority: 10, weight: 9 },
      { ...record, target: "" },
    ]);
    expect(services.map(({ target, port }) => `${target}:${port}`)).toEqual(["a:4222", "b:2"]);
  });
});

describe("what was answered", () => {
  const a = (name: string, ttlS: number) => ({ type: "A", name, ttlS, address: "10.0.0.1" }) as const;

  function cached(answers: Readonly<Record<string, Partial<DnsAnswer>>>) {
    const clock = { nowMs: 1000 };
    const asked: string[] = [];
    const ask = async ({ name }: { name: string }): Promise<DnsAnswer> => {
      asked.push(name);
      return { kind: "answer", records: [], additional: [], ttlS: undefined, ...answers[name] };
    };
    return { clock, asked, cache: new DnsCache(ask, () => clock.nowMs) };
  }

  it("counts as long as it says, at least a second, at most an hour", async () => {
    const { clock, asked, cache } = cached({
      x: { records: [a("x", 10)], ttlS: 10 },
      zero: { records: [a("zero", 0)], ttlS: 0 },
      week: { records: [a("week", 604_800)], ttlS: 604_800 },
    });
    await cache.records({ name: "x", type: "A" });
    expect(cache.usedUntil()).toBe(11_000);
    clock.nowMs = 10_999;
    await cache.records({ name: "X.", type: "A" });
    expect(asked).toEqual(["x"]);
    clock.nowMs = 11_000;
    await cache.records({ name: "x", type: "A" });
    expect(asked).toEqual(["x", "x"]);
    expect(cache.usedUntil()).toBe(21_000);
    await cache.records({ name: "zero", type: "A" });
    expect(cache.usedUntil()).toBe(12_000);
    await cache.records({ name: "week", type: "A" });
    expect(cache.usedUntil()).toBe(11_000 + 3_600_000);
  });

  it("and came along counts too, but not before what was asked for", async () => {
    const { asked, cache } = cached({
      s: { records: [a("s", 60)], additional: [a("t", 5)], ttlS: 60 },
      t: { records: [a("t", 50)], ttlS: 50 },
    });
    await cache.records({ name: "s", type: "A" });
    expect(await cache.records({ name: "t", type: "A" })).toEqual([a("t", 5)]);
    expect(asked).toEqual(["s"]);
    expect(cache.usedUntil()).toBe(6000);
  });

  it("with nothing in it counts too; what is no longer used is forgotten", async () => {
    const { asked, cache } = cached({ none: { ttlS: 30 }, noTime: {}, x: { records: [a("x", 9)], ttlS: 9 } });
    await cache.records({ name: "none", type: "A" });
    await cache.records({ name: "none", type: "A" });
    expect(asked).toEqual(["none"]);
    expect(cache.usedUntil()).toBe(31_000);
    await cache.records({ name: "noTime", type: "A" });
    expect(cache.usedUntil()).toBe(6000);
    await cache.records({ name: "x", type: "A" });
    cache.usedUntil();
    expect(cache.stale({ name: "none", type: "A" })).toBeUndefined();
    expect(cache.stale({ name: "x", type: "A" })).toEqual([a("x", 9)]);
  });
});
