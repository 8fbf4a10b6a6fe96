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

/**
 * A JSON event of 250 bytes, as an application writes them: the same keys each time, a few values that repeat, and per
 * event a random 16-byte reference, a random amount and a time: about 20 bytes of chance, and 10 more in its id.
 */
export function eventBody(n: number, note = ""): Buffer {
  const random = randomBytes(20);
  const fields = {
    n,
    reference: random.toString("hex", 0, 16),
    customer: NAMES[n % NAMES.length],
    city: CITIES[(n >> 3) % CITIES.length],
    amount: random.readUInt32BE(16) / 100,
    currency: "EUR",
    placedAt: new Date(1_790_000_000_000 + n * 137).toISOString(),
    status: n % 5 === 0 ? "cancelled" : "confirmed",
    note,
  };
  const body = Buffer.from(JSON.stringify(fields));
  if (body.length >= EVENT_BYTES) return body;
  // Blanks inside the note: JSON stays JSON.
  return Buffer.from(
    JSON.stringify({ ...fields, note: note.padEnd(note.length + EVENT_BYTES - body.length, " -") }),
  );
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
