import { createUser } from "@nats-io/nkeys";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, checkDocument, type Fault, faultLine, parseConfig } from "../../shared/config/index.ts";
import { hub, leaf } from "../support/config-documents.ts";

const publicKey = createUser().getPublicKey();

const faultsOf = (document: unknown, env = {}): readonly Fault[] => {
  const checked = checkDocument(document, env);
  return checked.ok ? [] : checked.faults;
};

describe("a document", () => {
  it("needs only node, role, dataDir and, on a leaf, its hubs", () => {
    const config = parseConfig(leaf);
    expect(config).toMatchObject({
      node: "leaf1",
      region: "default",
      http: "127.0.0.1:9464",
      nats: {
        url: "nats://127.0.0.1:4222",
        storeDir: "/var/lib/cim/leaf1/nats",
        hubDomain: "hub",
        linkSeedFile: "/var/lib/cim/leaf1/link.nk",
        agentSeedFile: "/var/lib/cim/leaf1/agent.nk",
        sysSeedFile: "/var/lib/cim/leaf1/sys.nk",
        syncInterval: "always",
      },
      outbox: { maxBytes: 1024 ** 3, maxAge: null, retentionFloorMs: 600_000 },
      sync: { enabled: true, domains: ["*"], mode: "eventual", conflictResolution: "last-write-wins" },
      heartbeat: { preset: "lan", intervalMs: 250 },
      health: { intervalS: 30, timeoutS: 5, retries: 3 },
    });
  });

  it("names every fault when it is empty", () => {
    expect(faultsOf({}).map(({ path }) => path)).toEqual(["node", "role", "dataDir"]);
  });

  it("derives the interval from the preset unless one is written", () => {
    expect(parseConfig({ ...leaf, heartbeat: { preset: "satellite" } }).heartbeat.intervalMs).toBe(10_000);
    expect(parseConfig({ ...leaf, heartbeat: { preset: "wan", intervalMs: 400 } }).heartbeat.intervalMs).toBe(
      400,
    );
  });

  it("lists programs' users with a key or a password each", () => {
    const other = createUser().getPublicKey();
    const file = "/etc/cim/events.bcrypt";
    const users = (...list: unknown[]) => ({ ...leaf, nats: { ...leaf.nats, users: list } });
    const events = { name: "cim-events" };
    expect(
      parseConfig(
        users(
          { ...events, publicKey },
          { ...events, publicKey: other },
          { ...events, passwordHashFile: file },
        ),
      ).nats.users,
    ).toHaveLength(3);
    const lines = (...list: unknown[]) => faultsOf(users(...list)).map(faultLine);
    expect(lines(events)).toEqual([
      "nats.users[0]: has neither a key nor a password; write either publicKey or passwordHashFile",
    ]);
    expect(lines({ ...events, publicKey, passwordHashFile: file })).toEqual([
      expect.stringMatching(/^nats\.users\[0\]: has a publicKey and a passwordHashFile; write /),
    ]);
    expect(lines({ ...events, publicKey }, { name: "app", publicKey })).toEqual([
      expect.stringMatching(/^nats\.users\[1\]\.publicKey: .*nats\.users\[0\]\.publicKey/),
    ]);
    const twice = { ...events, passwordHashFile: file };
    expect(lines(twice, twice)).toEqual([expect.stringMatching(/^nats\.users\[1\]\.name: /)]);
    expect(lines({ name: "root", publicKey })).toEqual([
      expect.stringMatching(/^nats\.users\[0\]\.name: .*"cim-events"/),
    ]);
    expect(lines({ ...events, password: "secret" }).join()).toMatch(/nats\.users\[0\]\.password/);
    expect(lines({ ...events, password: "secret" }).join()).not.toContain("secret");
    expect(lines({ ...events, publicKey: "SUAB" }).join()).toMatch(/public nkey of a user/);
  });

  it("takes a hub's own name for its domain", () => {
    expect(parseConfig({ ...hub, node: "north" }).nats.hubDomain).toBe("north");
  });

  it("is the same when a complete configuration is read as a document", () => {
    for (const document of [leaf, hub]) {
      const config = parseConfig(document);
      expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    }
  });
});

describe("a fault", () => {
  const cases: readonly (readonly [what: string, document: unknown, path: string, line: RegExp])[] = [
    ["wrong kind of document", [], "", /^is \[\], must be an object; write an object/],
    ["null", null, "", /^is null, must be an object/],
    ["missing key", { ...leaf, node: undefined }, "node", /^node: is missing; write a name of a-z/],
    ["node name", { ...leaf, node: "Leaf_1" }, "node", /is "Leaf_1", must be 1 to 63 characters/],
    ["unknown key", { ...leaf, reigon: "eu" }, "reigon", /is not a known key; write region$/],
    ["unknown key in a section", { ...hub, nats: { ulr: "x" } }, "nats.ulr", /write nats\.url$/],
    ["key of another section", { ...leaf, monitor: null }, "monitor", /write nats\.monitor$/],
    ["key unlike any", { ...leaf, banana: 1 }, "banana", /write one of node, role, region/],
    [
      "relative folder",
      { ...leaf, dataDir: "data" },
      "dataDir",
      /must be an absolute path; write an absolute path/,
    ],
    ["section of the wrong kind", { ...hub, nats: 5 }, "nats", /is 5, must be an object/],
    ["role by another name", { ...leaf, role: "master" }, "role", /called otherwise here; write "hub"$/],
    ["unknown role", { ...leaf, role: "boss" }, "role", /must be "hub" or "leaf"; write "hub" or "leaf"$/],
    ["port too large", { ...hub, http: "127.0.0.1:70000" }, "http", /host:port with a port from 0 to 65535/],
    ["URL of another kind", { ...hub, nats: { url: "http://x" } }, "nats.url", /must be nats:\/\/host:port/],
    [
      "credentials in a URL",
      { ...hub, nats: { url: "nats://a:b@x:1" } },
      "nats.url",
      /is "nats:\/\/…@x:1", must not hold/,
    ],
    ["port 0 in a URL", { ...hub, nats: { url: "nats://x:0" } }, "nats.url", /port from 1 to 65535/],
    [
      "payload too small",
      { ...hub, nats: { maxPayload: 1024 } },
      "nats.maxPayload",
      /is 1024, must be at least 262144/,
    ],
    [
      "payload broken",
      { ...hub, nats: { maxPayload: 1e6 + 0.5 } },
      "nats.maxPayload",
      /must be a whole number/,
    ],
    [
      "age limit of the outbox",
      { ...hub, outbox: { maxAge: 60 } },
      "outbox.maxAge",
      /is 60, must be null; write null/,
    ],
    ["no domain", { ...hub, sync: { domains: [] } }, "sync.domains", /at least 1 entries/],
    ["reserved domain", { ...hub, sync: { domains: ["_cim"] } }, "sync.domains[0]", /must be \* or one word/],
    ["leaf without a hub", { ...leaf, nats: {} }, "nats.hubs", /is empty, but a leaf links to a hub/],
    [
      "leaf that listens for leaves",
      { ...leaf, nats: { ...leaf.nats, leafListen: "0.0.0.0:7422" } },
      "nats.leafListen",
      /is of hubs only/,
    ],
    ["leaf with leaves", { ...leaf, leaves: [{ name: "a", publicKey }] }, "leaves", /is of hubs only/],
    ["leaf with the hub's name", { ...leaf, node: "hub" }, "node", /which is the hub's name too/],
    [
      "hub without a listener",
      { ...hub, leaves: [{ name: "a", publicKey }] },
      "nats.leafListen",
      /leaves are to link here; write "0\.0\.0\.0:7422"/,
    ],
    ["hub that links", { ...hub, nats: { hubs: ["nats-leaf://x:1"] } }, "nats.hubs", /is of leaves only/],
    [
      "hub with another's domain",
      { ...hub, nats: { hubDomain: "other" } },
      "nats.hubDomain",
      /a hub's domain is its own name/,
    ],
    ["one port twice", { ...hub, http: "0.0.0.0:8222" }, "http", /a port that nats\.monitor has already/],
    [
      "outbox beyond the store",
      { ...hub, outbox: { maxBytes: 2 ** 34 } },
      "outbox.maxBytes",
      /more than the whole store/,
    ],
    ["one fault per key", { ...hub, health: { timeoutS: 601 } }, "health.timeoutS", /must be at most 600/],
    [
      "probe longer than its interval",
      { ...hub, health: { timeoutS: 31 } },
      "health.timeoutS",
      /longer than the time between/,
    ],
  ];
  it.each(cases)("%s", (_, document, path, line) => {
    const found = faultsOf(document);
    expect(found.map((fault) => fault.path)).toEqual([path]);
    expect(found.map(faultLine).join()).toMatch(line);
  });

  it.each([
    [
      { ...leaf, role: "standby" },
      'role: is "standby", not yet offered by this build; write "hub" or "leaf"',
    ],
    [
      { ...leaf, sync: { mode: "causal" } },
      expect.stringMatching(
        /^sync\.mode: is "causal", not yet offered by this build \(.*\); write "eventual", and/,
      ),
    ],
    [
      { ...leaf, contracts: { orders: { mode: "causal", resolver: "crdt" } } },
      expect.stringMatching(/^contracts\.orders\.mode: is "causal", not yet offered by this build \(/),
    ],
  ])("names what is not yet offered: %j", (document, line) => {
    expect(faultsOf(document).map(faultLine)).toEqual([line]);
  });

  it("is told for each leaf whose name, key or both are those of another", () => {
    const other = createUser().getPublicKey();
    const leaves = [
      { name: "leaf1", publicKey },
      { name: "leaf1", publicKey: other },
      { name: "hub", publicKey },
      { name: "leaf2", publicKey: `U${"A".repeat(55)}` },
      { name: "leaf3", publicKey: "SU" },
    ];
    expect(
      faultsOf({ ...hub, nats: { leafListen: "0.0.0.0:7422" }, leaves })
        .map(faultLine)
        .sort(),
    ).toEqual([
      expect.stringMatching(/^leaves\[1\]\.name: is "leaf1", the same as leaves\[0\]\.name/),
      expect.stringMatching(/^leaves\[2\]\.name: is "hub", the same as this hub's own name/),
      expect.stringMatching(/^leaves\[2\]\.publicKey: .* the same as leaves\[0\]\.publicKey/),
      expect.stringMatching(/^leaves\[3\]\.publicKey: .* must be the public nkey of a user/),
      expect.stringMatching(/^leaves\[4\]\.publicKey: /),
    ]);
  });

  it("is told for each static node that is listed before", () => {
    const staticNodes = [1, 2, 3].map((n) => ({ name: `leaf${n % 2}`, url: `nats://10.0.0.${n}:4222` }));
    expect(faultsOf({ ...hub, discovery: { staticNodes } }).map(faultLine)).toEqual([
      'discovery.staticNodes[2].name: is "leaf1", the same as discovery.staticNodes[0].name; write each node once',
    ]);
  });

  it("is one line, with how many more there are", () => {
    const broken = () => parseConfig({ "odd\nkey": 1, role: "leaf\n" });
    expect(broken).toThrow(ConfigError);
    expect(broken).toThrow(/^configuration: node: is missing; write .* \(and 3 more: run check-config\)$/);
    for (const fault of faultsOf({ "odd\nkey": 1, role: "leaf\n" }))
      expect(faultLine(fault)).not.toContain("\n");
  });
});

describe("whatever the document is", () => {
  it("a check never throws, and says something when it refuses", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        const checked = checkDocument(document);
        expect(checked.ok || checked.faults.length > 0).toBe(true);
      }),
    );
  });

  it("any value at any key is taken or refused at that key", () => {
    const keys = Object.keys(parseConfig(hub));
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.jsonValue(), (name, value) => {
        const checked = checkDocument({ ...hub, [name]: value });
        if (checked.ok) return;
        for (const fault of checked.faults) {
          expect(faultLine(fault)).toMatch(/^[^\n]+; write [^\n]+$/);
        }
        if (name !== "role" && name !== "leaves") expect(checked.faults[0]?.path.startsWith(name)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("a key that breaks prototypes is only an unknown key", () => {
    const document: unknown = JSON.parse('{"__proto__": {"node": "x"}, "constructor": 1}');
    expect(faultsOf(document).map(({ path }) => path)).toContain("__proto__");
    expect(faultsOf(document).map(({ path }) => path)).toContain("constructor");
  });
});
