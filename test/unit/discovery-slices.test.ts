import { expect, test } from "vitest";
import { endpointSlice, sliceNodes } from "../../shared/discovery/kubernetes/endpoint-slices.ts";

const slice = (more: object) =>
  endpointSlice.parse({ metadata: { name: "s1", resourceVersion: "1" }, addressType: "IPv4", ...more });

test("pods of a StatefulSet are named by their host names, others by their pod", () => {
  const nodes = sliceNodes([
    slice({
      endpoints: [
        { addresses: ["10.0.0.1"], hostname: "leaf-0", targetRef: { kind: "Pod", name: "pod-x" } },
        {
          addresses: ["10.0.0.2"],
          targetRef: { kind: "Pod", name: "leaf-7f9c" },
          conditions: { ready: false },
        },
        { addresses: ["10.0.0.3"] },
        { addresses: [], hostname: "leaf-2" },
      ],
      ports: [
        { name: "monitor", port: 8222 },
        { name: "nats", port: 4333 },
      ],
    }),
  ]);
  expect(nodes.map(({ name, url }) => `${name} ${url}`)).toEqual([
    "leaf-0 nats://10.0.0.1:4333",
    "leaf-7f9c nats://10.0.0.2:4333",
  ]);
});

test("region and capabilities are labels of the Service, or the zone", () => {
  const endpoints = [{ addresses: ["10.0.0.1"], hostname: "leaf-0", zone: "eu-west-1a" }];
  const labels = { "cim/region": "eu", "capability.cim/gpu": "true", "capability.cim/ssd": "" };
  expect(sliceNodes([slice({ endpoints })])[0]).toMatchObject({ region: "eu-west-1a", capabilities: [] });
  const labelled = slice({ metadata: { name: "s1", resourceVersion: "1", labels }, endpoints });
  expect(sliceNodes([labelled])[0]).toMatchObject({ region: "eu", capabilities: ["gpu", "ssd"] });
});

test("a hub has a port for links; a node with two families of addresses is one node", () => {
  const ports = [
    { name: "nats", port: 4222 },
    { name: "leafnodes", port: 7422 },
  ];
  const both = [
    slice({
      metadata: { name: "a-v6", resourceVersion: "2" },
      addressType: "IPv6",
      endpoints: [
        { addresses: ["fd00::1"], hostname: "hub" },
        { addresses: ["fd00::2"], hostname: "leaf-1" },
      ],
      ports,
    }),
    slice({ endpoints: [{ addresses: ["10.0.0.1"], hostname: "hub" }], ports }),
  ];
  expect(sliceNodes(both)).toMatchObject([
    { name: "hub", url: "nats://10.0.0.1:4222", leafUrl: "nats-leaf://10.0.0.1:7422" },
    { name: "leaf-1", url: "nats://[fd00::2]:4222", leafUrl: "nats-leaf://[fd00::2]:7422" },
  ]);
});
