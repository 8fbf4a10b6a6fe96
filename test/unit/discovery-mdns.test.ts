import { type Answer, type DecodedPacket, decode, encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { crossFieldFaults } from "../../shared/config/cross-field-faults.ts";
import { isMulticastGroup } from "../../shared/config/local-name.ts";
import { announcement, isAskedFor, toldCapabilities } from "../../shared/discovery/mdns/mdns-announcement.ts";
import { MdnsKnown } from "../../shared/discovery/mdns/mdns-known.ts";
import { sourcesOf } from "../../shared/discovery/open-source.ts";
import { readListing } from "../../shared/discovery/read-listing.ts";

const SERVICE = "_nats._tcp.cim.local";
const about = (node: string, over: object = {}) => ({
  node,
  region: "eu",
  capabilities: ["gpu"],
  natsUrl: "nats://127.0.0.1:4222",
  leafListen: null,
  ...over,
});
const response = (answers: Answer[]) => decode(encode({ type: "response", answers }));
const query = (type: "PTR" | "SRV" | "TXT", name: string, answers: Answer[] = []) =>
  decode(encode({ type: "query", questions: [{ type, name }], answers }));
const said = (node: string, here: string, ttlS = 120, over: object = {}) =>
  response(announcement(about(node, over), SERVICE, here, ttlS));

describe("what was heard", () => {
  const leaf1 = { name: "leaf1", url: "nats://10.0.0.1:4222", region: "eu", capabilities: ["gpu"] };

  it("is what was announced, until it is taken back by who said it", () => {
    const known = new MdnsKnown(SERVICE);
    expect(known.absorb(said("leaf1", "10.0.0.1"), "10.0.0.1", 0)).toBe(true);
    expect(known.entries()).toMatchObject([leaf1]);
    // Somebody else has nothing to take back.
    known.absorb(said("leaf1", "10.0.0.1", 0), "10.0.0.9", 10);
    known.dropGone(5000);
    expect(known.entries()).toMatchObject([leaf1]);
    known.absorb(said("leaf1", "10.0.0.1", 0), "10.0.0.1", 6000);
    known.dropGone(6999);
    expect(known.entries()).toMatchObject([leaf1]);
    known.dropGone(7000);
    expect(known.entries()).toEqual([]);
    expect(known.isEmptyByGoodbye).toBe(true);
  });

  it("of one name from two machines is told of, and the first counts", () => {
    const known = new MdnsKnown(SERVICE);
    known.absorb(said("leaf1", "10.0.0.1"), "10.0.0.1", 0);
    known.absorb(said("leaf1", "10.0.0.2", 120, { natsUrl: "nats://10.0.0.2:4223" }), "10.0.0.2", 10);
    known.absorb(said("leaf1", "10.0.0.1"), "10.0.0.1", 20);
    expect(readListing(known.entries())).toEqual({
      kind: "listing",
      nodes: [leaf1],
      leftOut: ["leaf1 is listed twice: the first counts"],
    });
  });

  it("from one machine anew replaces what it said before", () => {
    const known = new MdnsKnown(SERVICE);
    known.absorb(said("leaf1", "10.0.0.1"), "10.0.0.1", 0);
    known.absorb(said("leaf1", "10.0.0.1", 120, { region: "us", capabilities: [] }), "10.0.0.1", 10);
    expect(readListing(known.entries())).toMatchObject({
      nodes: [{ name: "leaf1", url: leaf1.url, region: "us" }],
      leftOut: [],
    });
  });

  it("counts for its time, and beyond it for those that were not asked", () => {
    const known = new MdnsKnown(SERVICE);
    known.absorb(said("leaf1", "10.0.0.1", 10), "10.0.0.1", 0);
    expect([known.nextMs(0), known.isDue(7999), known.isDue(8000)]).toEqual([8000, false, true]);
    expect([known.nextMs(8000), known.isExpired(9999), known.isExpired(10_000)]).toEqual([
      10_000,
      false,
      true,
    ]);
    // It answered the question of moment 0.
    known.dropExpired(20_000, 0);
    expect(known.isEmpty).toBe(false);
    known.dropExpired(20_000, 1);
    expect([known.isEmpty, known.isEmptyByGoodbye]).toEqual([true, false]);
  });

  it("is asked for where something is missing or due, with what need not be said again", () => {
    const known = new MdnsKnown(SERVICE);
    const [ptr, srv, txt, address] = announcement(about("leaf1"), SERVICE, "10.0.0.1", 10) as Answer[];
    known.absorb(response([ptr as Answer]), "10.0.0.1", 0);
    expect(known.incomplete()).toEqual([`leaf1.${SERVICE}`]);
    expect(known.entries()).toEqual([]);
    expect(known.questions(0)).toContainEqual({ type: "SRV", name: `leaf1.${SERVICE}` });
    known.absorb(response([txt, srv, address] as Answer[]), "10.0.0.1", 0);
    expect(known.entries()).toMatchObject([leaf1]);
    expect(known.questions(0)).toHaveLength(2);
    expect(
      known
        .questions(8000)
        .map(({ type }) => type)
        .sort(),
    ).toEqual(["A", "PTR", "SRV", "SRV", "TXT"]);
    expect(known.knownAnswers(4000)).toEqual([
      { type: "PTR", name: SERVICE, ttl: 6, data: `leaf1.${SERVICE}` },
    ]);
    expect(known.knownAnswers(5000)).toEqual([]);
  });

  it("as plain SRV records of the service counts too", () => {
    const known = new MdnsKnown(SERVICE);
    known.absorb(
      response([
        { type: "SRV", name: SERVICE, ttl: 60, data: { port: 4222, target: "Leaf7.cim.local" } },
        { type: "TXT", name: "leaf7.cim.local", ttl: 60, data: ["region=eu"] },
        { type: "A", name: "leaf7.cim.local", ttl: 60, data: "10.0.0.7" },
      ]),
      "10.0.0.7",
      0,
    );
    expect(known.entries()).toMatchObject([{ name: "leaf7", url: "nats://10.0.0.7:4222", region: "eu" }]);
  });

  it("of other services, in questions, or as a refusal is nothing", () => {
    const known = new MdnsKnown(SERVICE);
    const other = announcement(about("leaf1"), "_http._tcp.local", "10.0.0.1", 120);
    expect(known.absorb(response(other), "10.0.0.1", 0)).toBe(false);
    const own = announcement(about("leaf1"), SERVICE, "10.0.0.1", 120);
    expect(known.absorb(query("PTR", SERVICE, own), "10.0.0.1", 0)).toBe(false);
    const refusal = encode({ type: "response", answers: own });
    refusal[3] = 5;
    expect(known.absorb(decode(refusal), "10.0.0.1", 0)).toBe(false);
    expect(known.isEmpty).toBe(true);
  });
});

describe("any bytes", () => {
  const nothingThrows = (bytes: Buffer) => {
    let packet: DecodedPacket;
    try {
      packet = decode(bytes);
    } catch {
      return; // the link leaves it out
    }
    const known = new MdnsKnown(SERVICE);
    isAskedFor(packet, announcement(about("leaf1"), SERVICE, "10.0.0.1", 120));
    known.absorb(packet, "10.0.0.1", 0);
    for (const one of readNodes(known)) expect(one.name).toMatch(/^[a-z0-9-]+$/);
    encode({ type: "query", questions: known.questions(0), answers: known.knownAnswers(0) });
    known.dropExpired(1e12, 1);
    expect(known.isEmpty).toBe(true);
  };
  const readNodes = (known: MdnsKnown) => {
    const report = readListing(known.entries());
    return report.kind === "listing" ? report.nodes : [];
  };

  it("do no harm", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => nothingThrows(Buffer.from(bytes))));
  });

  it("in a true announcement or question do none either", () => {
    const records = announcement(about("leaf1"), SERVICE, "10.0.0.1", 120);
    const changes = fc.array(fc.tuple(fc.nat(250), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom("response" as const, "query" as const), changes, (type, all) => {
        const bytes = encode({ type, questions: [{ type: "PTR", name: SERVICE }], answers: records });
        for (const [at, value] of all) if (at < bytes.length) bytes[at] = value;
        nothingThrows(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("an announcement", () => {
  const records = announcement(about("leaf1"), SERVICE, "10.0.0.1", 120);

  it("answers to its own names, unless it is known already", () => {
    expect(isAskedFor(query("PTR", SERVICE.toUpperCase()), records)).toBe(true);
    expect(isAskedFor(query("TXT", `leaf1.${SERVICE}`), records)).toBe(true);
    expect(isAskedFor(query("TXT", `leaf2.${SERVICE}`), records)).toBe(false);
    const known = (ttl: number): Answer[] => [{ type: "PTR", name: SERVICE, ttl, data: `leaf1.${SERVICE}` }];
    expect(isAskedFor(query("PTR", SERVICE, known(60)), records)).toBe(false);
    expect(isAskedFor(query("PTR", SERVICE, known(59)), records)).toBe(true);
    expect(isAskedFor(said("leaf1", "10.0.0.1"), records)).toBe(false);
  });

  it.each([
    ["nats://127.0.0.1:4222", "A", "10.0.0.1"],
    ["nats://0.0.0.0:4222", "A", "10.0.0.1"],
    ["nats://node.example:4222", "A", "10.0.0.1"],
    ["nats://10.9.9.9:4222", "A", "10.9.9.9"],
    ["nats://[2001:db8::1]:4222", "AAAA", "2001:db8::1"],
    ["nats://[::1]:4222", "A", "10.0.0.1"],
  ])("of %s has the address %s %s", (natsUrl, type, data) => {
    expect(announcement(about("leaf1", { natsUrl }), SERVICE, "10.0.0.1", 120)[3]).toMatchObject({
      type,
      data,
    });
  });

  it("of more capabilities than fit has the first", () => {
    const capabilities = Array.from({ length: 64 }, (_, i) => `capability-${i}`);
    const told = toldCapabilities(about("leaf1", { capabilities }));
    expect(capabilities.slice(0, told.length)).toEqual(told);
    const text = (some: readonly string[]) => `capabilities=${some.join(",")}`.length;
    expect(text(told)).toBeLessThanOrEqual(255);
    expect(text(capabilities.slice(0, told.length + 1))).toBeGreaterThan(255);
    expect(toldCapabilities(about("leaf1"))).toEqual(["gpu"]);
  });
});

describe("the configuration", () => {
  const leaf = { node: "leaf1", role: "leaf" as const, dataDir: "/d", nats: { hubs: ["nats-leaf://h:1"] } };
  const discovery = (over: ConfigDocument["discovery"]) =>
    configDocument.parse({ ...leaf, discovery: { methods: ["static", "dns"], ...over } }).discovery;

  it("asks for names in .local by multicast, unless it names servers", () => {
    expect(sourcesOf(discovery({}))).toEqual(["static", "mdns"]);
    expect(sourcesOf(discovery({ dnsQuery: "_nats._tcp.LOCAL." }))).toEqual(["static", "mdns"]);
    expect(sourcesOf(discovery({ dnsServers: ["10.0.0.1:53"] }))).toEqual(["static", "dns"]);
    expect(sourcesOf(discovery({ dnsQuery: "_nats._tcp.example.org" }))).toEqual(["static", "dns"]);
  });

  it("takes a multicast group for what it is", () => {
    for (const good of ["224.0.0.251:5353", "239.255.255.255:1"]) expect(isMulticastGroup(good)).toBe(true);
    for (const bad of ["10.0.0.1:5353", "240.0.0.1:5353", "224.0.0.256:1", "224.0.0.251", "224.0.0.251:0"]) {
      expect(isMulticastGroup(bad)).toBe(false);
    }
  });

  it("announces only names in .local", () => {
    const faults = (dnsQuery: string) =>
      crossFieldFaults({ ...leaf, discovery: { dnsQuery, mdnsAnnounce: true } }).map(({ path }) => path);
    expect(faults("_nats._tcp.example.org")).toContain("discovery.dnsQuery");
    expect(faults("_nats._tcp.cim.local")).not.toContain("discovery.dnsQuery");
  });
});
