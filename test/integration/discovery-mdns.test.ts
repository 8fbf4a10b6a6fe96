import { createSocket } from "node:dgram";
import { encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { MdnsAnnouncer } from "../../shared/discovery/mdns/mdns-announcer.ts";
import { MdnsSource } from "../../shared/discovery/mdns/mdns-source.ts";
import type { Report } from "../../shared/discovery/source.ts";
import { createLog } from "../../shared/observe/log.ts";
import { eventually } from "../support/eventually.ts";
import { isMulticastOnLoopback, LOCAL_SERVICE, MdnsNeighbours } from "../support/mdns-neighbours.ts";
import { sourceCompliance } from "../support/source-compliance.ts";
import { watchSource } from "../support/watched-source.ts";

const isPossible = await isMulticastOnLoopback();

describe.skipIf(!isPossible)("multicast on loopback", () => {
  sourceCompliance("multicast DNS", {
    canFail: true,
    canListAnything: true,
    async start() {
      const neighbours = await MdnsNeighbours.start();
      return {
        list: async (nodes) => neighbours.list(nodes),
        open: (init) =>
          new MdnsSource({ ...init, ...neighbours.place, dnsQuery: LOCAL_SERVICE, patienceMs: 200 }),
        async fail() {
          neighbours.isSilent = true;
        },
        async recover() {
          neighbours.isSilent = false;
        },
        listWrongName: async () => neighbours.add({ name: "not_a_node" }),
        [Symbol.asyncDispose]: () => neighbours[Symbol.asyncDispose](),
      };
    },
  });

  describe("listening", () => {
    it("takes a node that fell silent for gone when others answer, and for there when nobody does", async () => {
      await using neighbours = await MdnsNeighbours.start();
      neighbours.list([A, B]);
      await using seen = look(neighbours);
      await seen.lists([A, B]);
      neighbours.isSilent = true;
      await seen.isOut(/^nobody answers for _nats\._tcp\.cim\.local at 224\.0\.0\.251:\d+$/);
      neighbours.isSilent = false;
      await seen.lists([A, B]);
      // Neither was missing from any listing after both were in one.
      expect(sizes(seen.reports).slice(sizes(seen.reports).indexOf(2))).not.toContain(1);
      neighbours.forget("leaf-b");
      await seen.lists([A]);
    });

    it("takes a goodbye at its word at once, though the records were to count for long", async () => {
      await using neighbours = await MdnsNeighbours.start();
      neighbours.ttlS = 4500;
      neighbours.list([A, B]);
      await using seen = look(neighbours);
      await seen.lists([A, B]);
      neighbours.list([B]);
      await seen.lists([B]);
      neighbours.list([]);
      await seen.lists([]);
    });

    it("survives whatever is sent to the group, and believes nothing that came from another port", async () => {
      await using neighbours = await MdnsNeighbours.start();
      neighbours.list([A]);
      await using seen = look(neighbours);
      await using announcer = announce(neighbours, { node: "leaf-c" });
      await seen.lists([A, C]);
      const [group, port] = neighbours.place.mdnsGroup.split(":") as [string, string];
      await using stranger = await socketOnLoopback();
      const target = "leaf-x.cim.local";
      const instance = `leaf-x.${LOCAL_SERVICE}`;
      const forged = encode({
        type: "response",
        answers: [
          { type: "PTR", name: LOCAL_SERVICE, ttl: 4500, data: instance },
          { type: "SRV", name: instance, ttl: 4500, data: { port: 1, target } },
        ],
      });
      const loop = Buffer.concat([forged.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 12, 0, 1])]);
      for (let cut = 0; cut <= forged.length; cut++) {
        await stranger.send(forged.subarray(0, cut), Number(port), group);
      }
      await stranger.send(loop, Number(port), group);
      await stranger.send(Buffer.alloc(9000, 0xff), Number(port), group);
      neighbours.list([A, B]);
      await seen.lists([A, B, C]);
      await announcer[Symbol.asyncDispose]();
      await seen.lists([A, B]);
    });

    it("says why nobody can be heard", async () => {
      await using neighbours = await MdnsNeighbours.start();
      await using seen = look(neighbours, { mdnsInterfaces: ["192.0.2.1"] });
      await seen.isOut(/no network interface has the address 192\.0\.2\.1$/);
    });
  });

  describe("announcing", () => {
    it("tells by RFC 6763 what the node is, at the start and when asked, and takes it back at the end", async () => {
      await using neighbours = await MdnsNeighbours.start();
      const told = (ttl: number) =>
        neighbours.packets.filter(({ type, answers }) => {
          const [first] = answers ?? [];
          return type === "response" && first !== undefined && "ttl" in first && first.ttl === ttl;
        });
      const announcer = announce(neighbours, { node: "hub", leafListen: "0.0.0.0:7422" });
      // By itself it says it twice; the third time it was asked.
      await eventually(() => told(120).length === 2);
      neighbours.ask("SRV", `HUB.${LOCAL_SERVICE}`);
      await eventually(() => told(120).length === 3);
      expect(told(120)[2]?.answers).toMatchObject([
        { type: "PTR", name: LOCAL_SERVICE, data: `hub.${LOCAL_SERVICE}` },
        {
          type: "SRV",
          name: `hub.${LOCAL_SERVICE}`,
          flush: true,
          data: { port: 4222, target: "hub.cim.local" },
        },
        { type: "TXT", name: `hub.${LOCAL_SERVICE}`, flush: true, data: texts },
        { type: "A", name: "hub.cim.local", flush: true, data: "127.0.0.1" },
      ]);
      await announcer[Symbol.asyncDispose]();
      await eventually(() => told(0).length === 1);
      expect(told(0)[0]?.answers).toHaveLength(4);
    });
  });
});

const A = { name: "leaf-a", url: "nats://127.0.0.21:4222", region: "eu", capabilities: ["gpu", "ssd"] };
const B = { name: "leaf-b", url: "nats://127.0.0.22:4223" };
const C = { name: "leaf-c", url: "nats://127.0.0.1:4222", region: "eu", capabilities: ["gpu"] };
const texts = ["region=eu", "capabilities=gpu", "leafport=7422"].map((text) => Buffer.from(text));

function announce({ place }: MdnsNeighbours, about: { node: string; leafListen?: string }) {
  const log = createLog({ name: "test", level: "error", node: about.node });
  const { region, capabilities } = C;
  const node = { region, capabilities, natsUrl: "nats://127.0.0.1:4222", leafListen: null, ...about };
  return new MdnsAnnouncer({ about: node, service: LOCAL_SERVICE, place, log }).start();
}

/** A source, and what it said. */
function look({ place }: MdnsNeighbours, over: { mdnsInterfaces?: string[] } = {}) {
  const how = { dnsQuery: LOCAL_SERVICE, patienceMs: 200, ...place, ...over };
  return watchSource((init) => new MdnsSource({ ...init, ...how }));
}

const sizes = (reports: readonly Report[]) =>
  reports.flatMap((one) => (one.kind === "listing" ? one.nodes.length : []));

/** Sends to the group from a port of its own. */
async function socketOnLoopback() {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  socket.setMulticastInterface("127.0.0.1");
  return {
    send: (bytes: Buffer, port: number, address: string) =>
      new Promise<void>((resolve, reject) => {
        socket.send(bytes, port, address, (error) => (error ? reject(error) : resolve()));
      }),
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}
