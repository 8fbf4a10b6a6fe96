import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { StoredMessage } from "../protocol/event.ts";
import { STATUS_LINE } from "./raw-message.ts";
import { ACCOUNT } from "./server-config.ts";

/** The server's files are not there, not for us to read, or not in the form of the servers that we know. */
export class StoreUnreadable extends Error {
  override readonly name = "StoreUnreadable";
}

/** The folder in which a node's server keeps a stream's messages. */
export function messagesFolder(storeDir: string, stream: string): string {
  return join(storeDir, "jetstream", ACCOUNT.cim, "streams", stream, "msgs");
}

// nats-server's file store (server/filestore.go of 2.15): blocks `<n>.blk` of records, one behind the other:
// length (4, highest bit: has headers), sequence (8), time in ns (8), subject's length (2), subject, [headers' length (4),
// headers], body, checksum (8), little-endian, the length that of all of it.
const FIXED_BYTES = 22;
const CHECKSUM_BYTES = 8;
const HAS_HEADERS = 0x8000_0000;
const MOST_RECORD_BYTES = 128 * 1024 * 1024;
/** In the upper half of the sequence, this and above: a note that another one was deleted, or erased itself. */
const TOMBSTONE = 0x4000_0000;

export interface DiskRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Sequences in it that the server has deleted: their records stay where they were. */
  readonly deleted: ReadonlySet<number>;
}

/**
 * Reads messages as they stand on the disk, past the server and what it holds in memory: of a byte that was flipped there
 * the server itself says nothing until it reads the block anew. Only reads; the server is not asked and not disturbed.
 * A block that can't be read on from some record gives nothing behind it.
 *
 * @throws StoreUnreadable
 */
export class DiskReader {
  readonly #dir: string;
  /** The first sequence of each block, as far as known. */
  readonly #firstSeqs = new Map<number, number>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async *read({ firstSeq, lastSeq, deleted }: DiskRange): AsyncGenerator<StoredMessage[]> {
    const blocks = await this.#blocks();
    let isKnown = false;
    for (const [i, block] of blocks.entries()) {
      const next = blocks[i + 1];
      const nextFirst = next === undefined ? undefined : this.#firstSeqs.get(next);
      if (nextFirst !== undefined && nextFirst <= firstSeq) continue;
      const known = this.#firstSeqs.get(block);
      if (known !== undefined && known > lastSeq) return;
      const read = await this.#readBlock(block);
      // A form that is not ours shows in the first block; in a later one it is damage.
      if (!read && !isKnown)
        throw new StoreUnreadable(`${this.#dir}/${block}.blk is in a form that is not known here`);
      isKnown = true;
      const messages = read ?? [];
      const first = messages[0]?.seq;
      if (first !== undefined) this.#firstSeqs.set(block, first);
      const wanted = messages.filter(({ seq }) => seq >= firstSeq && seq <= lastSeq && !deleted.has(seq));
      if (wanted.length > 0) yield wanted;
      if (first !== undefined && first > lastSeq) return;
    }
  }

  async #blocks(): Promise<number[]> {
    try {
      const names = await readdir(this.#dir);
      return names
        .flatMap((name) => /^(\d+)\.blk$/.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b);
    } catch (cause) {
      throw new StoreUnreadable(`${this.#dir} can't be read`, { cause });
    }
  }

  /** undefined: not in a form that is known. */
  async #readBlock(block: number): Promise<StoredMessage[] | undefined> {
    const path = join(this.#dir, `${block}.blk`);
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch (cause) {
      // Purged meanwhile.
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw new StoreUnreadable(`${path} can't be read`, { cause });
    }
    return recordsOf(bytes);
  }
}

/** The messages of a block's file, up to where it can't be read on; undefined: it can't from its very beginning. */
export function recordsOf(bytes: Buffer): StoredMessage[] | undefined {
  const messages: StoredMessage[] = [];
  let at = 0;
  while (at + FIXED_BYTES + CHECKSUM_BYTES <= bytes.length) {
    const word = bytes.readUInt32LE(at);
    const hasHeaders = word >= HAS_HEADERS;
    const length = hasHeaders ? word - HAS_HEADERS : word;
    const subjectLength = bytes.readUInt16LE(at + 20);
    const end = at + length - CHECKSUM_BYTES;
    const subjectEnd = at + FIXED_BYTES + subjectLength;
    const isSane =
      length <= MOST_RECORD_BYTES &&
      end + CHECKSUM_BYTES <= bytes.length &&
      subjectEnd + (hasHeaders ? 4 : 0) <= end;
    if (!isSane) break;
    const message = recordAt(bytes, { at, end, subjectEnd, hasHeaders });
    if (message) messages.push(message);
    at = end + CHECKSUM_BYTES;
  }
  return at === 0 && bytes.length > 0 ? undefined : messages;
}

function recordAt(
  bytes: Buffer,
  { at, end, subjectEnd, hasHeaders }: { at: number; end: number; subjectEnd: number; hasHeaders: boolean },
): StoredMessage | undefined {
  const upper = bytes.readUInt32LE(at + 8);
  if (upper >= TOMBSTONE || subjectEnd === at + FIXED_BYTES) return undefined;
  const bodyAt = hasHeaders ? subjectEnd + 4 + bytes.readUInt32LE(subjectEnd) : subjectEnd;
  if (bodyAt > end) return undefined;
  return {
    seq: upper * 0x1_0000_0000 + bytes.readUInt32LE(at + 4),
    timeUs: Number(bytes.readBigInt64LE(at + 12) / 1000n),
    subject: bytes.toString("utf8", at + FIXED_BYTES, subjectEnd),
    headerText: hasHeaders ? headerTextAt(bytes, subjectEnd + 4, bodyAt) : "",
    body: bytes.subarray(bodyAt, end),
  };
}

/** Without the status line and the empty line at the end, as everywhere. */
function headerTextAt(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString("utf8", from, to);
  return text.startsWith(`${STATUS_LINE}\r\n`) ? text.slice(STATUS_LINE.length + 2, -2) : text;
}
