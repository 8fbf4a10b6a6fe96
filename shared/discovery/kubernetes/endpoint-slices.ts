import { isIPv6 } from "node:net";
import * as z from "zod";
import type { RawEntry } from "../read-listing.ts";

/** What is used of an EndpointSlice (discovery.k8s.io/v1); whatever else there is, is let be. */
export const endpointSlice = z.object({
  metadata: z.object({
    name: z.string(),
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
  addressType: z.string().nullish(),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()).nullish(),
        hostname: z.string().nullish(),
        zone: z.string().nullish(),
        targetRef: z.object({ name: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
  ports: z.array(z.object({ name: z.string().nullish(), port: z.number().nullish() })).nullish(),
});

export type EndpointSlice = z.output<typeof endpointSlice>;

/** Labels of a Service; Kubernetes passes them on to its slices. */
const REGION_LABEL = "cim/region";
const CAPABILITY_PREFIX = "capability.cim/";

/**
 * The nodes of some slices: one per endpoint, ready or not, each name once, by its IPv4 address where it has several.
 *
 * A node's name is the endpoint's host name, as pods of a StatefulSet have one, else its pod's name. The region is the
 * label `cim/region`, else the zone; capabilities are the labels `capability.cim/<name>`. Clients use the port `nats`, or
 * the first; leaves link to the port `leafnodes`, where there is one.
 */
export function sliceNodes(slices: Iterable<EndpointSlice>): RawEntry[] {
  const nodes = new Map<string, RawEntry>();
  const inOrder = [...slices].sort(
    (a, b) =>
      Number(a.addressType === "IPv6") - Number(b.addressType === "IPv6") ||
      (a.metadata.name < b.metadata.name ? -1 : 1),
  );
  for (const { metadata, endpoints, ports } of inOrder) {
    const labels = metadata.labels ?? {};
    const port = (name: string) => ports?.find((one) => one.name === name)?.port ?? undefined;
    const natsPort = port("nats") ?? ports?.[0]?.port ?? 4222;
    const leafPort = port("leafnodes");
    const capabilities = Object.keys(labels)
      .filter((label) => label.startsWith(CAPABILITY_PREFIX))
      .map((label) => label.slice(CAPABILITY_PREFIX.length));
    for (const { hostname, targetRef, zone, addresses } of endpoints ?? []) {
      const [address] = addresses ?? [];
      const name = hostname ?? targetRef?.name ?? undefined;
      if (address === undefined || name === undefined || nodes.has(name)) continue;
      const host = isIPv6(address) ? `[${address}]` : address;
      nodes.set(name, {
        name,
        url: `nats://${host}:${natsPort}`,
        leafUrl: leafPort === undefined ? undefined : `nats-leaf://${host}:${leafPort}`,
        region: labels[REGION_LABEL] ?? zone ?? undefined,
        capabilities,
      });
    }
  }
  return [...nodes.values()];
}

/** What a list is, of a kind that is known by the path it was asked at. */
export const sliceList = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().nullish() }),
  items: z.array(endpointSlice),
});

/** A line of a watch. */
export const watchEvent = z.discriminatedUnion("type", [
  z.object({ type: z.enum(["ADDED", "MODIFIED", "DELETED"]), object: endpointSlice }),
  z.object({
    type: z.literal("BOOKMARK"),
    object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }),
  }),
  z.object({
    type: z.literal("ERROR"),
    object: z.object({ code: z.number().nullish(), message: z.string().nullish() }),
  }),
]);
