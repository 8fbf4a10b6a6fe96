import { randomBytes } from "node:crypto";
import type { EventToAppend } from "../../shared/client/connect-cim.ts";

export const EVENT_BYTES = 250;

const NAMES = [
  "Ada Lovelace",
  "Grace Hopper",
  "Alan Turing",
  "Edsger Dijkstra",
  "Barbara Liskov",
  "Leslie Lamport",
];
const CITIES = ["London", "Arlington", "Wilmslow", "Rotterdam", "Los Angeles", "New York"];

const RANDOM_BYTES = 20;
/** Far more than zstd looks back over: fetched once, for the writer shares its core with what is measured. */
const CHANCE = randomBytes(200_000 * RANDOM_BYTES);

/**
 * A JSON event of 250 bytes, as an application writes them: the same keys each time, a few values that repeat, and per
 * event a random 16-byte reference, a random amount and a time: about 20 bytes of chance, and 10 more in its id.
 */
export function eventBody(n: number, note = ""): Buffer {
  const at = (n * RANDOM_BYTES) % CHANCE.length;
  const fields = {
    n,
    reference: CHANCE.toString("hex", at, at + 16),
    customer: NAMES[n % NAMES.length],
    city: CITIES[(n >> 3) % CITIES.length],
    amount: CHANCE.readUInt32BE(at + 16) / 100,
    currency: "EUR",
    placedAt: new Date(1_790_000_000_000 + n * 137).toISOString(),
    status: n % 5 === 0 ? "cancelled" : "confirmed",
    note,
  };
  const json = JSON.stringify(fields);
  // Blanks inside the note, which comes last: JSON stays JSON.
  const missing = EVENT_BYTES - Buffer.byteLength(json);
  return Buffer.from(missing <= 0 ? json : `${json.slice(0, -2)}${"".padEnd(missing, " -")}"}`);
}

/** A thousand aggregates, as an application has them. */
export function benchEvent(n: number, domain = "orders"): EventToAppend {
  return { domain, aggregate: `order-${n % 1000}`, type: "OrderPlaced", data: eventBody(n) };
}

/** `n` of an event made here. */
export function numberOf(body: Uint8Array): number {
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(24, body.byteLength)).toString("latin1");
  return Number.parseInt(text.slice(text.indexOf(":") + 1), 10);
}
