/**
 * What a lab's link does to the bytes of its TCP connections.
 * - `down`: connections are closed and new ones refused.
 * - `blackhole`: connections are accepted and silent; what is sent is held, nothing is closed, nothing arrives.
 * - `up`: bytes pass, with any of these impairments:
 *   `delayMs` one-way latency, in each direction; `stallFraction` of the segments are held for a retransmission
 *   time-out and everything behind them waits, which is what a lost packet is to the user of TCP (there is no loss
 *   inside a TCP stream, so it isn't called that); `bitsPerS` capacity of each direction.
 */
export type LinkCondition =
  | { readonly state: "down" }
  | { readonly state: "blackhole" }
  | {
      readonly state: "up";
      readonly delayMs?: number;
      readonly stallFraction?: number;
      readonly bitsPerS?: number;
    };

export const linkConditionWords = "up, down, blackhole, delay=200ms, stall=10%, rate=64kbit";

/** A link condition that can't be read; the message is one line that says what to write. */
export class LinkConditionError extends Error {
  override readonly name = "LinkConditionError";
  readonly exitCode = 2;
}

const rateUnits: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/**
 * Reads `up`, `down`, `blackhole`, or impairments of a link that is up, one or several with commas:
 * `delay=200ms,rate=64kbit`.
 * @throws LinkConditionError
 */
export function parseLinkCondition(text: string): LinkCondition {
  const words = text.toLowerCase().trim();
  if (words === "up" || words === "down" || words === "blackhole") return { state: words };
  let condition: LinkCondition & { state: "up" } = { state: "up" };
  for (const word of words.split(",")) condition = { ...condition, ...parseImpairment(word.trim()) };
  return condition;
}

function parseImpairment(
  word: string,
): { delayMs: number } | { stallFraction: number } | { bitsPerS: number } {
  const match = /^(delay|stall|rate)=(\d+(?:\.\d+)?)([a-z%]+)$/.exec(word);
  const [, name, digits, unit = ""] = match ?? [];
  const amount = Number(digits);
  if (name === "delay" && (unit === "ms" || unit === "s")) {
    const delayMs = unit === "s" ? amount * 1000 : amount;
    if (delayMs <= 60_000) return { delayMs };
  }
  if (name === "stall" && unit === "%" && amount <= 90) return { stallFraction: amount / 100 };
  const bits = rateUnits[unit];
  if (name === "rate" && bits !== undefined && amount * bits >= 1000) return { bitsPerS: amount * bits };
  throw new LinkConditionError(
    `link condition "${word}" is not known; write one of ${linkConditionWords} (delay to 60s, stall to 90%, rate from 1kbit)`,
  );
}

/** The condition in the words that `parseLinkCondition` reads. */
export function describeLinkCondition(condition: LinkCondition): string {
  if (condition.state !== "up") return condition.state;
  const { delayMs, stallFraction, bitsPerS } = condition;
  const parts: string[] = [];
  if (delayMs) parts.push(`delay=${delayMs}ms`);
  if (stallFraction) parts.push(`stall=${+(stallFraction * 100).toPrecision(12)}%`);
  if (bitsPerS) parts.push(`rate=${describeRate(bitsPerS)}`);
  return parts.length === 0 ? "up" : parts.join(",");
}

function describeRate(bitsPerS: number): string {
  for (const [unit, bits] of Object.entries(rateUnits).toReversed()) {
    if (bitsPerS >= bits) return `${bitsPerS / bits}${unit}`;
  }
  return `${bitsPerS}bit`;
}
