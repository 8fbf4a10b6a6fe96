import { expect, test } from "vitest";
import { dialledAs, foundHubs, hubsToDial } from "../../agent/hubs/hubs-to-dial.ts";

const [A, B, C] = ["nats-leaf://10.0.0.1:7422", "nats-leaf://10.0.0.2:7422", "nats-leaf://10.0.0.3:7422"];

test("the hub is where sources say, by their precedence; other nodes do not count", () => {
  const found = foundHubs(
    new Map([
      ["dns", [{ name: "hub", leafUrl: B }, { name: "hub2", leafUrl: C }, { name: "leaf1" }]],
      ["static", [{ name: "hub", leafUrl: A }]],
      ["consul", [{ name: "hub", url: "nats://10.0.0.9:4222" }]],
    ]),
    "hub",
  );
  expect(found).toEqual([A, B]);
});

test("what is configured comes last and is never left out", () => {
  expect(hubsToDial([], [A])).toEqual([A]);
  expect(hubsToDial([B], [A])).toEqual([B, A]);
  expect(hubsToDial([A], [A])).toEqual([A]);
  const many = Array.from({ length: 40 }, (_, i) => `nats-leaf://10.0.1.${i}:7422`);
  const dialled = hubsToDial(many, [A]);
  expect(dialled).toHaveLength(16);
  expect(dialled.at(-1)).toBe(A);
});

test("hubs are compared as nats-server tells of them", () => {
  expect(dialledAs("nats-leaf://10.0.0.1:7422")).toBe("10.0.0.1:7422");
  expect(dialledAs("nats-leaf://hub.example")).toBe("hub.example:7422");
  expect(dialledAs("tls://[fd00::1]:7000")).toBe("[fd00::1]:7000");
});
