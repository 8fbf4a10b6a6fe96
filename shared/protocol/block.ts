import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { ByteReader, MalformedBytes } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import type { ShippedEvent } from "./event.ts";
import type { LaneMark } from "./origin.ts";
import { EVENTS_PREFIX } from "./subjects.ts";

/**
 * A block: consecutive events of one origin on their way up, and what they continue.
 *
 * Bytes: magic "CB", version, compression (0 none, 1 zstd), varint length of the content, content. The content is
 * incarnation, the mark before it, whether a hole was accepted, the count, then per event: sequence and time as
 * differences to the one before, subject without `cim.events.`, id, headers, body. Zstandard (RFC 8878) finds what
 * repeats from event to event, so the format doesn't.
 */
export interface Block {
  readonly incarnation: number;
  /** The last event of this lane before the block: the sequencer takes the block only if this is its own mark. */
  readonly previous: LaneMark;
  /** An operator accepted by name that the events between `previous` and the first one are gone. */
  readonly acceptedHole: boolean;
  readonly events: readonly ShippedEvent[];
}

export const BLOCK_VERSION = 1;
/** No block is larger, packed or unpacked: the largest payload of a hub (8 MiB) must hold one event and its wrapping. */
export const MAX_BLOCK_BYTES = 8 * 1024 * 1024;
/** As many as fit into one atomic batch of JetStream (1,000) with room for control records. */
export const MAX_BLOCK_EVENTS = 900;

const MAGIC_0 = 0x43;
const MAGIC_1 = 0x42;
const PLAIN = 0;
const ZSTD = 1;
/** Below this zstd's own frame costs more than it saves. */
const WORTH_COMPRESSING = 160;
const MAX_SPAN = 2 ** 50;

export function isBlock(bytes: Uint8Array): boolean {
  return bytes.length > 4 && bytes[0] === MAGIC_0 && bytes[1] === MAGIC_1;
}

/** @throws RangeError when the block is empty, has too many events, or is larger than MAX_BLOCK_BYTES. */
export function encodeBlock(block: Block): Buffer {
  const { events } = block;
  if (events.length === 0 || events.length > MAX_BLOCK_EVENTS)
    throw new RangeError(`a block of ${events.length} events`);
  const content = encodeContent(block);
  if (content.length > MAX_BLOCK_BYTES) throw new RangeError(`a block of ${content.length} bytes`);
  let stored: Buffer = content;
  let compression = PLAIN;
  if (content.length >= WORTH_COMPRESSING) {
    const packed = zstdCompressSync(content, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
    if (packed.length < content.length) {
      stored = packed;
      compression = ZSTD;
    }
  }
  const head = new ByteWriter(16);
  head.varint(content.length);
  return Buffer.concat([Buffer.from([MAGIC_0, MAGIC_1, BLOCK_VERSION, compression]), head.finish(), stored]);
}

/** @throws MalformedBytes, and nothing else, whatever the bytes; never takes more memory than MAX_BLOCK_BYTES allow. */
export function decodeBlock(bytes: Uint8Array): Block {
  if (!isBlock(bytes)) throw new MalformedBytes("not a block");
  if (bytes[2] !== BLOCK_VERSION)
    throw new MalformedBytes(`block version ${bytes[2]}, this build reads ${BLOCK_VERSION}`);
  if (bytes.length > MAX_BLOCK_BYTES + 64) throw new MalformedBytes(`a block of ${bytes.length} bytes`);
  const head = new ByteReader(bytes.subarray(4));
  const length = head.varint();
  if (length > MAX_BLOCK_BYTES) throw new MalformedBytes(`a block that unpacks to ${length} bytes`);
  const stored = bytes.subarray(bytes.length - head.remaining);
  const content = bytes[3] === ZSTD ? unpack(stored, length) : stored;
  if (bytes[3] !== ZSTD && bytes[3] !== PLAIN) throw new MalformedBytes(`compression ${bytes[3]}`);
  if (content.length !== length)
    throw new MalformedBytes(`${content.length} bytes where ${length} were said`);
  return decodeContent(new ByteReader(content));
}

function unpack(stored: Uint8Array, length: number): Buffer {
  try {
    return zstdDecompressSync(stored, { maxOutputLength: Math.max(1, length) });
  } catch (cause) {
    throw new MalformedBytes("the block does not unpack", { cause });
  }
}

function encodeContent(block: Block): Buffer {
  const writer = new ByteWriter(64 * 1024);
  writer.varint(block.incarnation);
  writer.varint(block.previous.seq);
  writer.text(block.previous.print);
  writer.varint(block.acceptedHole ? 1 : 0);
  writer.varint(block.events.length);
  let seq = block.previous.seq;
  let timeUs = 0;
  for (const event of block.events) {
    writer.varint(event.seq - seq);
    // A clock may be set back between two events: the sign goes into the lowest bit.
    const step = event.timeUs - timeUs;
    writer.varint(step < 0 ? -step * 2 + 1 : step * 2);
    writer.text(event.subject.slice(EVENTS_PREFIX.length));
    writer.text(event.id);
    writer.text(event.headerText);
    writer.bytes(event.body);
    seq = event.seq;
    timeUs = event.timeUs;
  }
  return writer.finish();
}

function decodeContent(reader: ByteReader): Block {
  const incarnation = reader.varint();
  const previous = { seq: reader.varint(), print: reader.text() };
  const holes = reader.varint();
  if (holes > 1) throw new MalformedBytes(`flag ${holes}`);
  const count = reader.varint();
  if (count < 1 || count > MAX_BLOCK_EVENTS) throw new MalformedBytes(`a block of ${count} events`);
  const events: ShippedEvent[] = [];
  let seq = previous.seq;
  let timeUs = 0;
  for (let i = 0; i < count; i++) {
    const ahead = reader.varint();
    if (ahead < 1 || ahead > MAX_SPAN) throw new MalformedBytes(`a sequence ${ahead} after ${seq}`);
    seq += ahead;
    const step = reader.varint();
    timeUs += step % 2 === 1 ? -(step - 1) / 2 : step / 2;
    if (!Number.isSafeInteger(seq) || !Number.isSafeInteger(timeUs) || timeUs < 0) {
      throw new MalformedBytes("a sequence or time out of range");
    }
    const subject = EVENTS_PREFIX + reader.text();
    events.push({ seq, timeUs, subject, id: reader.text(), headerText: reader.text(), body: reader.bytes() });
  }
  if (reader.remaining !== 0) throw new MalformedBytes(`${reader.remaining} bytes too many`);
  return { incarnation, previous, acceptedHole: holes === 1, events };
}
