import { eventEntry } from "../../coordinator/sequencer/log-entry.ts";
import { StreamCount } from "../../shared/consistency/proof/stream-count.ts";
import { uuidv7 } from "../../shared/protocol/identity.ts";
import { eventBody } from "./events.ts";

const BATCH = 900;
const BATCHES = 600;
/** Until the compiler has seen it often enough. */
const WARM_UP = 200;

/** CPU of counting an event that was just written to the log, µs: batches as the sequencer makes them, of three leaves and domains. */
export function countingCost(): number {
  const count = new StreamCount(true);
  const reign = { epoch: 3, id: "abcd1234" };
  let index = 0;
  let usedUs = 0;
  for (let round = 0; round < BATCHES; round++) {
    const node = `leaf${1 + (round % 3)}`;
    const messages = Array.from({ length: BATCH }, () => {
      const seq = ++index;
      const domain = ["orders", "person", "stock"][seq % 3] as string;
      const id = uuidv7();
      const headerText = `X-Correlation-ID: ${id}\r\nCim-Clock: ${Date.now()}.0\r\n`;
      const subject = `cim.events.${domain}.a-${seq % 1000}.Made`;
      const event = { seq, timeUs: Date.now() * 1000, subject, id, headerText, body: eventBody(seq) };
      return eventEntry(event, { node, incarnation: 1, lane: "e", seq }, { reign, index }, Date.now());
    });
    // What was put together is one piece when it has been sent.
    for (const { headerText } of messages) Buffer.byteLength(headerText);
    const before = process.cpuUsage();
    count.takeAll(messages, index - BATCH + 1);
    const { user, system } = process.cpuUsage(before);
    if (round >= WARM_UP) usedUs += user + system;
  }
  return usedUs / (BATCH * (BATCHES - WARM_UP));
}
