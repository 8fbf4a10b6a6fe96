import { createSocket } from "node:dgram";
import { decode, encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { DnsSource } from "../../shared/discovery/dns/dns-source.ts";
import { DnsZone, type Misbehaviour, SERVICE } from "../support/dns-zone.ts";
import { eventually } from "../support/eventually.ts";
import { sourceCompliance } from "../support/source-compliance.ts";
import { watchSource } from "../support/watched-source.ts";

sourceCompliance("DNS", {
  canFail: true,
  canListAnything: true,
  async start() {
    const zone = await DnsZone.start();
    return {
      list: async (nodes) => zone.list(nodes),
      open: (init) =>
        new DnsSource({ ...init, dnsQuery: SERVICE, dnsServers: [zone.address], shortestTtlMs: 50 }),
      async fail() {
        zone.rcode = "SERVFAIL";
      },
      async recover() {
        zone.rcode = "NOERROR";
      },
      async listWrongName() {
        const data = { port: 4222, target: "not_a_node.cim.test" };
        zone.records.push({ type: "SRV", name: SERVICE, data });
      },
      [Symbol.asyncDispose]: () => zone[Symbol.asyncDispose](),
    };
  },
});

const A = { name: "leaf-a", url: "nats://127.0.0.21:4222", region: "eu", capabilities: ["gpu", "ssd"] };
const B = { name: "leaf-b", url: "nats://127.0.0.22:4223" };

/** A source that asks these servers, and what it said. */
function look(...dnsServers: string[]) {
  return watchSource((init) => new DnsSource({ ...init, dnsQuery: SERVICE, dnsServers, shortestTtlMs: 50 }));
}

describe("asking", () => {
  it("takes what came along, and asks for the rest where nothing did", async () => {
    await using zone = await DnsZone.start();
    zone.ttlS = 3600;
    zone.list([A, B]);
    await using first = look(zone.address);
    await first.lists([A, B]);
    expect(zone.questions).not.toContain("udp A leaf-a.cim.test");
    expect(zone.questions).not.toContain("udp TXT leaf-a.cim.test");
    zone.additional = false;
    await using second = look(zone.address);
    await second.lists([A, B]);
    expect(zone.questions).toContain("udp A leaf-a.cim.test");
    expect(zone.questions).toContain("udp TXT leaf-a.cim.test");
  });

  it("goes over to TCP for a list that fits into no datagram", async () => {
    await using zone = await DnsZone.start();
    const many = Array.from({ length: 60 }, (_, i) => ({
      ...B,
      name: `leaf-${String(i).padStart(3, "0")}`,
      region: "r".repeat(40),
    }));
    zone.list(many);
    await using seen = look(zone.address);
    await seen.lists(many);
    expect(zone.questions).toContain(`tcp SRV ${SERVICE}`);
  });

  it("asks the next server when one is silent, refuses or is not there", async () => {
    await using silent = await DnsZone.start("127.0.0.32");
    silent.isSilent = true;
    await using refusing = await DnsZone.start("127.0.0.33");
    refusing.rcode = "REFUSED";
    await using good = await DnsZone.start("127.0.0.34");
    good.list([A]);
    await using seen = look(silent.address, refusing.address, "127.0.0.35:1", good.address);
    await seen.lists([A]);
    expect(silent.questions.length).toBeGreaterThan(0);
    expect(refusing.questions.length).toBeGreaterThan(0);
  });

  it("names each server and what it did when none answers", async () => {
    await using refusing = await DnsZone.start("127.0.0.33");
    refusing.rcode = "REFUSED";
    await using seen = look(refusing.address, "127.0.0.35:1");
    await seen.isOut(
      new RegExp(`^SRV ${SERVICE}: ${refusing.address} answers REFUSED; 127\\.0\\.0\\.35:1 .*ECONNREFUSED`),
    );
  });

  it("does without EDNS where a server does not know it", async () => {
    await using zone = await DnsZone.start();
    zone.isOld = true;
    zone.list([A, B]);
    await using seen = look(zone.address);
    await seen.lists([A, B]);
  });

  it("looks again when a record has expired, and not before", async () => {
    await using zone = await DnsZone.start();
    zone.list([A]);
    await using seen = look(zone.address);
    await seen.lists([A]);
    zone.list([A, B]);
    await seen.lists([A, B]);
    zone.ttlS = zone.negativeTtlS = 3600;
    zone.list([B]);
    await seen.lists([B]);
    const asked = () => zone.questions.filter((one) => one.includes("SRV")).length;
    const before = asked();
    // Another's expiring record is the clock: it is asked about again three times.
    await using zone2 = await DnsZone.start("127.0.0.36");
    zone2.list([A]);
    await using clock = look(zone2.address);
    await clock.lists([A]);
    await eventually(() => zone2.questions.filter((one) => one.includes("SRV")).length >= 4);
    expect(asked()).toBe(before);
  });

  it("keeps that there is nothing as long as the zone says (RFC 2308)", async () => {
    await using zone = await DnsZone.start();
    zone.negativeTtlS = 3600;
    zone.list([B]);
    await using seen = look(zone.address);
    await seen.lists([B]);
    // The SRV record expires at once; that there is no TXT counts for longer.
    await eventually(() => zone.questions.filter((one) => one.includes("SRV")).length >= 3);
    expect(zone.questions.filter((one) => one === "udp TXT leaf-b.cim.test")).toHaveLength(1);
  });

  it("an empty zone and the target . list nothing", async () => {
    await using zone = await DnsZone.start();
    await using seen = look(zone.address);
    await seen.lists([]);
    zone.records.push({ type: "SRV", name: SERVICE, data: { port: 0, target: "." } });
    zone.list([A]);
    await seen.lists([A]);
    zone.records = [{ type: "SRV", name: SERVICE, data: { port: 0, target: "." } }];
    await seen.lists([]);
  });
});

describe("hostile answers", () => {
  /** What is listed where a forgery is believed. */
  const forged = {
    answers: [{ type: "SRV" as const, name: SERVICE, ttl: 1, data: { port: 1, target: "forged.cim.test" } }],
    additionals: [],
  };
  const hostile: Readonly<Record<string, Misbehaviour>> = {
    "another id": (query, honest) => [encode({ ...honest, ...forged, id: ((query.id ?? 0) + 1) & 0xffff })],
    "another question": (_, honest) => [
      encode({ ...honest, ...forged, questions: [{ type: "SRV", name: "_x._tcp.cim.test" }] }),
    ],
    "another type of question": (_, honest) => [
      encode({ ...honest, ...forged, questions: [{ type: "TXT", name: SERVICE }] }),
    ],
    "a query": (_, honest) => [encode({ ...honest, ...forged, type: "query" })],
    "a name that points at itself": (_, honest) => {
      const packet = encode({ ...honest, answers: [], additionals: [], authorities: [] });
      packet.writeUInt16BE(1, 6);
      return [
        Buffer.concat([packet, Buffer.from([0xc0, packet.length, 0, 33, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0])]),
      ];
    },
    "names that point at each other": (_, honest) => {
      const packet = encode({ ...honest, answers: [], additionals: [], authorities: [] });
      packet.writeUInt16BE(1, 6);
      const at = packet.length;
      return [
        Buffer.concat([packet, Buffer.from([0xc0, at + 2, 0xc0, at, 0, 33, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0])]),
      ];
    },
    "more records announced than there are": (_, honest) => {
      const packet = encode(honest);
      packet.writeUInt16BE(0xffff, 6);
      return [packet];
    },
    "half a packet": (_, honest) => [encode(honest).subarray(0, 40)],
    "an empty packet": () => [Buffer.alloc(0)],
    "60 kB of nothing": (query) => {
      const noise = Buffer.alloc(60_000, 0xc0);
      noise.writeUInt16BE(query.id ?? 0);
      return [noise];
    },
  };

  for (const [what, misbehaviour] of Object.entries(hostile)) {
    it(`${what} is not taken for the answer, which comes after it`, async () => {
      await using zone = await DnsZone.start();
      zone.list([A, B]);
      const after = (query: Parameters<Misbehaviour>[0], honest: Parameters<Misbehaviour>[1]) => [
        ...misbehaviour(query, honest),
        encode(honest),
      ];
      zone.misbehaviour = after;
      await using seen = look(zone.address);
      await seen.lists([A, B]);
      expect(seen.reports.every((one) => one.kind === "listing" && one.nodes.length === 2)).toBe(true);
      expect(JSON.stringify(seen.reports)).not.toContain("forged");
    });
  }

  it("from another address is not even read", async () => {
    await using zone = await DnsZone.start();
    await using other = await DnsZone.start("127.0.0.37");
    zone.list([A]);
    other.list([B]);
    // The true server asks its accomplice to answer first; it can't, but for the right address.
    const forger = createSocket("udp4");
    try {
      await new Promise<void>((resolve) => forger.bind(0, "127.0.0.37", resolve));
      zone.onUdp = (bytes, port, address) => {
        const { id = 0, questions = [] } = decode(bytes);
        const data = { port: 1, target: "forged.cim.test" };
        const forged = encode({
          type: "response",
          id,
          questions,
          answers: [{ type: "SRV", name: SERVICE, data }],
        });
        forger.send(forged, port, address);
      };
      await using seen = look(zone.address);
      await seen.lists([A]);
      expect(JSON.stringify(seen.reports)).not.toContain("forged");
    } finally {
      forger.close();
    }
  });

  it("without end are an outage", async () => {
    await using zone = await DnsZone.start();
    zone.list([A]);
    zone.misbehaviour = (query, honest) =>
      Array.from({ length: 80 }, (_, i) => encode({ ...honest, id: ((query.id ?? 0) + 1 + i) & 0xffff }));
    await using seen = look(zone.address);
    await seen.isOut(/sends what was not asked for: has another id/);
  });
});
