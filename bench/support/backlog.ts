import type { LabNode } from "../../lab/lab-node.ts";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { benchEvent } from "./events.ts";

const BATCH = 1000;

/** Writes so many events on a node, the last one of another aggregate; gives that one's subject. */
export async function writeBacklog(leaf: LabNode, count: number, domain = "orders"): Promise<string> {
  await using cim = await connectCim({ url: leaf.natsUrl, timeoutMs: 30_000 });
  for (let from = 0; from < count - 1; from += BATCH) {
    const length = Math.min(BATCH, count - 1 - from);
    await cim.appendBatch(Array.from({ length }, (_, i) => benchEvent(from + i, domain)));
  }
  await cim.append({ ...benchEvent(count - 1, domain), aggregate: "last" });
  return `cim.events.${domain}.last.OrderPlaced`;
}
