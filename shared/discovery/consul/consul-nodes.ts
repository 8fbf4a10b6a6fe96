import { isIPv6 } from "node:net";
import * as z from "zod";
import type { RawEntry } from "../read-listing.ts";

const meta = z.record(z.string(), z.string()).nullish();

/** What is used of an entry of `/v1/health/service/<name>`; whatever else there is, is let be. */
const healthEntry = z.object({
  Node: z.object({ Node: z.string(), Address: z.string() }),
  Service: z.object({
    Address: z.string().nullish(),
    Port: z.number(),
    Tags: z.array(z.string()).nullish(),
    Meta: meta,
  }),
});

/**
 * The nodes of a service, as Consul tells of them. All of them: that a check fails says how a node is, not whether it
 * belongs to the fleet.
 *
 * A node's name is the service's meta `node`, else the name of Consul's own node. Region and capabilities are the meta
 * `region` and `capabilities` (with commas), else the tag `region=…` and the tags without `=`. A hub has the meta `leafPort`
 * or `leafUrl`.
 *
 * @throws SyntaxError, ZodError when the answer is none of Consul's
 */
export function consulNodes(body: string): RawEntry[] {
  return z
    .array(healthEntry)
    .parse(JSON.parse(body))
    .map(({ Node, Service }) => {
      const { Meta, Port } = Service;
      const tags = Service.Tags ?? [];
      const address = Service.Address || Node.Address;
      const host = isIPv6(address) ? `[${address}]` : address;
      const capabilities = Meta?.capabilities?.split(",") ?? tags.filter((tag) => !tag.includes("="));
      return {
        name: Meta?.node ?? Node.Node,
        url: Meta?.url ?? `nats://${host}:${Port}`,
        leafUrl: Meta?.leafUrl ?? (Meta?.leafPort && `nats-leaf://${host}:${Meta.leafPort}`),
        region: Meta?.region ?? tags.find((tag) => tag.startsWith("region="))?.slice("region=".length),
        capabilities: capabilities.map((one) => one.trim()).filter((one) => one !== ""),
      };
    });
}

/** Where a blocking query goes on: from the beginning when the index went back or is none (Consul's own advice). */
export function nextIndex(before: bigint, header: string | undefined): bigint {
  if (header === undefined || !/^\d{1,20}$/.test(header)) return 0n;
  const index = BigInt(header);
  if (index < before) return 0n;
  return index > 0n ? index : 1n;
}
