import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Block,
  decodeBlock,
  encodeBlock,
  isBlock,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_EVENTS,
} from "../../shared/protocol/block.ts";
import { ByteReader, MalformedBytes } from "../../shared/protocol/byte-reader.ts";
import { ByteWriter } from "../../shared/protocol/byte-writer.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";

const step = fc.record({
  gap: fc.integer({ min: 1, max: 5000 }),
  timeUs: fc.integer({ min: 0, max: 2 ** 52 - 1 }),
  subject: fc.string({ unit: "binary", maxLength: 30 }),
  id: fc.string({ unit: "binary", maxLength: 40 }),
  headerText: fc.string({ unit: "binary", maxLength: 60 }),
  body: fc.uint8Array({ maxLength: 200 }),
});
const blocks: fc.Arbitrary<Block> = fc
  .record({
    incarnation: fc.integer({ min: 1, max: 1e6 }),
    seq: fc.integer({ min: 0, max: 2 ** 50 }),
    print: fc.string({ maxLength: 16 }),
    acceptedHole: fc.boolean(),
    steps: fc.array(step, { minLength: 1, maxLength: 20 }),
  })
  .map(({ incarnation, seq, print, acceptedHole, steps }) => {
    let at = seq;
    const events = steps.map(({ gap, subject, ...event }): ShippedEvent => {
      at += gap;
      return { seq: at, subject: `cim.events.${subject}`, ...event };
    });
    return { incarnation, previous: { seq, print }, acceptedHole, events };
  });

const plain = (block: Block) => ({
  ...block,
  events: block.events.map((event) => ({ ...event, body: [...event.body] })),
});

function decodes(bytes: Uint8Array): void {
  try {
    const { events } = decodeBlock(bytes);
    expect(events.length).toBeGreaterThan(0);
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error;
  }
}

/** A block around any content, as an attacker would make it. */
function around(content: Uint8Array, { compress = false, said = content.length } = {}): Buffer {
  const head = new ByteWriter(16);
  head.varint(said);
  const stored = compress ? zstdCompressSync(content) : content;
  return Buffer.concat([Buffer.from([0x43, 0x42, 1, compress ? 1 : 0]), head.finish(), stored]);
}

describe("blocks", () => {
  it("come out as they went in: gaps, clocks set back, any bytes", () => {
    fc.assert(
      fc.property(blocks, (block) => {
        const bytes = encodeBlock(block);
        expect(isBlock(bytes)).toBe(true);
        expect(plain(decodeBlock(bytes))).toEqual(plain(block));
      }),
    );
  });

  it("are packed when that is worth it", () => {
    const events = Array.from({ length: 200 }, (_, i) => ({
      seq: i + 1,
      timeUs: 1e15 + i * 137,
      subject: `cim.events.person.p${i % 7}.PersonMoved`,
      id: `0190a5e4-0000-7000-8000-${String(i).padStart(12, "0")}`,
      headerText: "",
      body: Buffer.from(
        JSON.stringify({ street: "Long Street", number: i, note: "moved in with the others" }),
      ),
    }));
    const raw = events.reduce(
      (sum, { subject, id, body }) => sum + subject.length + id.length + body.length,
      0,
    );
    const bytes = encodeBlock({
      incarnation: 1,
      previous: { seq: 0, print: "" },
      acceptedHole: false,
      events,
    });
    expect(bytes.length).toBeLessThan(raw / 5);
  });

  it("are refused when they are empty, have too many events or are too large", () => {
    const event = {
      seq: 1,
      timeUs: 1,
      subject: "cim.events.a.B",
      id: "i",
      headerText: "",
      body: Buffer.alloc(0),
    };
    const block = { incarnation: 1, previous: { seq: 0, print: "" }, acceptedHole: false };
    expect(() => encodeBlock({ ...block, events: [] })).toThrow(RangeError);
    const many = Array.from({ length: MAX_BLOCK_EVENTS + 1 }, (_, i) => ({ ...event, seq: i + 1 }));
    expect(() => encodeBlock({ ...block, events: many })).toThrow(RangeError);
    const large = { ...event, body: Buffer.alloc(MAX_BLOCK_BYTES) };
    expect(() => encodeBlock({ ...block, events: [large] })).toThrow(RangeError);
  });
});

describe("bytes that are no block", () => {
  it("throw MalformedBytes and nothing else: any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodes(bytes)));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodes(around(bytes))));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodes(around(bytes, { compress: true }))),
    );
  });

  it("throw MalformedBytes and nothing else: a block with bits turned, or cut short, or with more behind it", () => {
    fc.assert(
      fc.property(
        blocks,
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.nat(),
        fc.uint8Array({ maxLength: 9 }),
        (block, bits, cut, more) => {
          const bytes = encodeBlock(block);
          const turned = Buffer.from(bytes);
          for (const bit of bits) {
            const at = (bit >> 3) % turned.length;
            turned[at] = (turned[at] as number) ^ (1 << (bit & 7));
          }
          decodes(turned);
          decodes(bytes.subarray(0, cut % bytes.length));
          decodes(Buffer.concat([bytes, more]));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("does not unpack to more than it says, nor believes more than a block's size", () => {
    const bomb = Buffer.alloc(64 * 1024 * 1024);
    const before = process.memoryUsage().rss;
    expect(() => decodeBlock(around(bomb, { compress: true, said: 1000 }))).toThrow(MalformedBytes);
    expect(() => decodeBlock(around(bomb, { compress: true }))).toThrow(/unpacks to/);
    expect(() => decodeBlock(around(Buffer.alloc(10), { compress: true, said: 8_000_000 }))).toThrow(
      MalformedBytes,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * 1024 * 1024);
  });

  it("are told by version and compression", () => {
    const bytes = Buffer.from(around(Buffer.alloc(4)));
    bytes[2] = 9;
    expect(() => decodeBlock(bytes)).toThrow("block version 9, this build reads 1");
    bytes[2] = 1;
    bytes[3] = 7;
    expect(() => decodeBlock(bytes)).toThrow("compression 7");
  });

  it("have no more events than a block has, and sequences that grow", () => {
    const content = (write: (writer: ByteWriter) => void): Buffer => {
      const writer = new ByteWriter();
      writer.varint(1);
      writer.varint(0);
      writer.text("");
      writer.varint(0);
      write(writer);
      return around(writer.finish());
    };
    expect(() => decodeBlock(content((writer) => writer.varint(MAX_BLOCK_EVENTS + 1)))).toThrow(
      /a block of 901/,
    );
    expect(() => decodeBlock(content((writer) => writer.varint(0)))).toThrow(/a block of 0/);
    const still = content((writer) => {
      writer.varint(1);
      writer.varint(0);
    });
    expect(() => decodeBlock(still)).toThrow(/a sequence 0 after 0/);
  });
});

describe("numbers and strings in bytes", () => {
  it("come out as they went in", () => {
    const value = fc.oneof(fc.maxSafeNat(), fc.string({ unit: "binary" }), fc.uint8Array());
    fc.assert(
      fc.property(fc.array(value), (values) => {
        const writer = new ByteWriter(1);
        for (const each of values) {
          if (typeof each === "number") writer.varint(each);
          else if (typeof each === "string") writer.text(each);
          else writer.bytes(each);
        }
        const reader = new ByteReader(writer.finish());
        for (const each of values) {
          if (typeof each === "number") expect(reader.varint()).toBe(each);
          else if (typeof each === "string") expect(reader.text()).toBe(each);
          else expect([...reader.bytes()]).toEqual([...each]);
        }
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it("are refused where they can't be", () => {
    const writer = new ByteWriter();
    for (const value of [-1, 1.5, Number.NaN, 2 ** 53])
      expect(() => writer.varint(value)).toThrow(RangeError);
    expect(() => new ByteReader(Buffer.alloc(0)).varint()).toThrow(MalformedBytes);
    expect(() => new ByteReader(Buffer.alloc(12, 0xff)).varint()).toThrow(MalformedBytes);
    expect(() => new ByteReader(Buffer.from([5, 1, 2])).bytes()).toThrow(/5 bytes are said to follow, 2 do/);
  });
});
