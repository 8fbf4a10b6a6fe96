import { formatClock, OWN_LANE } from "../consistency/clock/clock-header.ts";
import { HybridClock } from "../consistency/clock/hybrid-clock.ts";
import { headerLine } from "../protocol/headers.ts";
import { HEADER } from "../protocol/names.ts";
import { EventRejected } from "./append-errors.ts";
import { parseVersion } from "./state/state-version.ts";

/**
 * Stamps what is appended: with a time behind every time that was seen here, and with what the writer had seen of the
 * aggregate where it says so. One for all that a client appends, so that its events are ordered as it made them.
 */
export class AppendClock {
  readonly #node: string;
  readonly #clock: HybridClock;

  /** @param nowMs ms since the epoch */
  constructor(node: string, nowMs: () => number = Date.now) {
    this.#node = node;
    this.#clock = new HybridClock(nowMs);
  }

  /**
   * The header line of the next event.
   * @param version what `state` gave
   * @throws {EventRejected} it is none, or one that means something on another node only
   */
  stamp(version?: string): string {
    if (version === undefined) return headerLine(HEADER.clock, formatClock({ time: this.#clock.now() }));
    const read = parseVersion(version);
    if (!read)
      throw new EventRejected(
        "seen",
        `seen: ${JSON.stringify(version)} is not a version; give what state gave`,
      );
    const { node, clock } = read;
    if (node !== this.#node && clock.seen?.has(OWN_LANE))
      throw new EventRejected(
        "seen",
        `seen: the version is of ${node} and has events that are only there yet, and this is ${this.#node}; read the state here`,
      );
    this.#clock.seen(clock.time);
    const { seen } = clock;
    return headerLine(HEADER.clock, formatClock({ time: this.#clock.now(), ...(seen && { seen }) }));
  }
}
