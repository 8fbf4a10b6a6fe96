import type { PlaceRange } from "../../shared/consistency/proof/block-sums.ts";
import type { ListedEvent } from "../../shared/consistency/proof/compare.ts";
import type { Side } from "../../shared/consistency/proof/compare-sides.ts";
import { NOTHING, plus, type Sum } from "../../shared/consistency/proof/sum.ts";
import type { IsWanted } from "../../shared/follow/proof/read-blocks.ts";
import {
  inLane,
  inStream,
  type LaneSegment,
  listOf,
  sumsOf,
} from "../../shared/follow/proof/stored-events.ts";
import type { StoredMessages } from "../../shared/follow/proof/stored-messages.ts";
import type { StreamLedger } from "../../shared/follow/proof/stream-ledger.ts";
import type { Look } from "../../shared/protocol/proof-messages.ts";

/** What was read of a range, by domain. */
type ByDomain = ReadonlyMap<string, Sum>;

/** Several nodes are asked about the same ranges at once: those are read once. */
const MOST_KEPT = 128;
const KEPT_MS = 30_000;

/** The log, as the reference that copies and outboxes are compared with. */
export class LogSide {
  readonly #ledger: StreamLedger;
  readonly #messages: StoredMessages;
  readonly #kept = new Map<string, { readonly atMs: number; readonly sums: Promise<ByDomain[]> }>();

  constructor(ledger: StreamLedger, messages: StoredMessages) {
    this.#ledger = ledger;
    this.#messages = messages;
  }

  /** As copies have it: by log index, of the domains that are wanted. */
  copySide(isWanted: IsWanted, look: Look): Side {
    return {
      sums: async (ranges, isFresh) => {
        if (look === "counted") {
          if (isFresh) await this.#ledger.upToDate();
          const sums: Sum[] = [];
          for (const range of ranges) sums.push(await this.#ledger.sumOf(range, isWanted));
          return sums;
        }
        const byDomain = await this.#read(ranges, look, isFresh);
        return byDomain.map((domains) => {
          let sum = NOTHING;
          for (const [domain, one] of domains) if (isWanted(domain)) sum = plus(sum, one);
          return sum;
        });
      },
      list: async (range) =>
        await listOf(
          inStream(this.#ledger, this.#messages, range, isWanted, look === "counted" ? "stored" : look),
          range,
        ),
    };
  }

  /** As an outbox has it: by its own sequences. */
  outboxSide(
    of: { readonly node: string; readonly lineage: readonly LaneSegment[] },
    look: Exclude<Look, "counted">,
  ): Side {
    return {
      sums: async (ranges) => {
        const events = inLane(this.#ledger, this.#messages, around(ranges), of, look);
        return await sumsOf(events, ranges);
      },
      list: async (range): Promise<ListedEvent[]> =>
        await listOf(inLane(this.#ledger, this.#messages, range, of, look), range),
    };
  }

  #read(
    ranges: readonly PlaceRange[],
    look: Exclude<Look, "counted">,
    isFresh: boolean,
  ): Promise<ByDomain[]> {
    const key = `${look} ${ranges.map(({ from, to }) => `${from}-${to}`).join()}`;
    const kept = this.#kept.get(key);
    if (!isFresh && kept && performance.now() - kept.atMs < KEPT_MS) return kept.sums;
    const sums = this.#sumsByDomain(ranges, look);
    this.#kept.delete(key);
    this.#kept.set(key, { atMs: performance.now(), sums });
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size > MOST_KEPT) this.#kept.delete(oldest);
    // What could not be read is asked for anew.
    sums.catch(() => this.#kept.delete(key));
    return sums;
  }

  async #sumsByDomain(
    ranges: readonly PlaceRange[],
    look: Exclude<Look, "counted">,
  ): Promise<Map<string, Sum>[]> {
    const sums = ranges.map(() => new Map<string, Sum>());
    let at = 0;
    for await (const { place, domain, high, low } of inStream(
      this.#ledger,
      this.#messages,
      around(ranges),
      () => true,
      look,
    )) {
      const known = ranges[at];
      if (!known || place < known.from || place > known.to)
        at = ranges.findIndex(({ from, to }) => place >= from && place <= to);
      const byDomain = sums[at];
      byDomain?.set(domain, plus(byDomain.get(domain) ?? NOTHING, { count: 1, high, low }));
      if (at < 0) at = 0;
    }
    return sums;
  }
}

/** From the lowest place to the highest. */
const around = (ranges: readonly PlaceRange[]): PlaceRange => ({
  from: Math.min(...ranges.map(({ from }) => from)),
  to: Math.max(...ranges.map(({ to }) => to)),
});
