import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FOREIGN_VARIABLES, VARIABLES } from "../../shared/config/environment-variables.ts";
import { checkDocument, type Environment, faultLine, parseConfig } from "../../shared/config/index.ts";

const document = {
  node: "leaf1",
  role: "leaf",
  dataDir: "/var/lib/cim",
  nats: { hubs: ["nats-leaf://10.0.0.1:7422"] },
};

const lines = (env: Environment): string[] => {
  const checked = checkDocument(document, env);
  return checked.ok ? [] : checked.faults.map(faultLine);
};

describe("CIM_* overrides", () => {
  it("each sets its key", () => {
    const config = parseConfig(document, {
      CIM_NATS_URL: "nats://127.0.0.2:5222",
      CIM_LOG_LEVEL: "debug",
      CIM_DISCOVERY_METHOD: "static, dns",
      CIM_STATIC_NODES:
        '[{"name":"leaf2","url":"nats://10.0.0.3:4222","region":"eu","capabilities":["gpu"]}]',
      CIM_DNS_QUERY: "_cim._tcp.example.org",
      CIM_ROUTING_STRATEGY: "least-loaded",
      CIM_HEALTH_INTERVAL: "60",
      CIM_HEALTH_TIMEOUT: "2.5",
      CIM_HEALTH_RETRIES: "5",
      CIM_SYNC_ENABLED: "false",
      CIM_SYNC_MODE: "eventual",
      CIM_CONFLICT_RESOLUTION: "last-write-wins",
      CIM_SNAPSHOT_INTERVAL: "50",
      CIM_CACHE_SIZE: "10",
      CIM_AUDIT_EVENTS: "authentication,commands",
      CIM_AUDIT_RETENTION: "7",
      CIM_HTTP: "127.0.0.1:0",
      CIM_DNS_SERVERS: "127.0.0.1:53,127.0.0.2:53",
      CIM_CONSUL_ADDR: "http://127.0.0.1:8501",
    });
    expect(config).toMatchObject({
      nats: { url: "nats://127.0.0.2:5222", hubs: document.nats.hubs },
      logLevel: "debug",
      discovery: {
        methods: ["static", "dns"],
        staticNodes: [{ name: "leaf2", url: "nats://10.0.0.3:4222", region: "eu", capabilities: ["gpu"] }],
        dnsQuery: "_cim._tcp.example.org",
        dnsServers: ["127.0.0.1:53", "127.0.0.2:53"],
        consulAddr: "http://127.0.0.1:8501",
      },
      routing: { strategy: "least-loaded" },
      health: { intervalS: 60, timeoutS: 2.5, retries: 5 },
      sync: { enabled: false, mode: "eventual", conflictResolution: "last-write-wins" },
      snapshotInterval: 50,
      cacheSize: 10,
      audit: { events: ["authentication", "commands"], retentionDays: 7 },
      http: "127.0.0.1:0",
    });
  });

  it("CIM_HTTP=off turns HTTP off, an empty list of audit events is none", () => {
    expect(parseConfig(document, { CIM_HTTP: "off" }).http).toBeNull();
    expect(parseConfig(document, { CIM_AUDIT_EVENTS: "" }).audit.events).toEqual([]);
  });

  it("an override mends what the document has wrong", () => {
    expect(parseConfig({ ...document, logLevel: "loud" }, { CIM_LOG_LEVEL: "warn" }).logLevel).toBe("warn");
  });

  it("an override does not hide that its section is of the wrong kind", () => {
    const checked = checkDocument({ ...document, nats: 5 }, { CIM_NATS_URL: "nats://127.0.0.1:4222" });
    expect(checked.ok ? [] : checked.faults.map(({ path }) => path)).toContain("nats");
  });

  it.each([
    ["CIM_NATS_URL", "", /^CIM_NATS_URL: holds "", which is empty; write nats:\/\/127\.0\.0\.1:4222$/],
    ["CIM_NATS_URL", "localhost", /^CIM_NATS_URL: holds "localhost": nats\.url is .*; write nats:/],
    ["CIM_NATS_URL", "nats://me:secret@h:1", /^CIM_NATS_URL: holds "nats:\/\/…@h:1": /],
    ["CIM_LOG_LEVEL", "loud", /must be "error" or .*; write error, warn/],
    ["CIM_DISCOVERY_METHOD", ",", /which names none; write static, dns/],
    [
      "CIM_DISCOVERY_METHOD",
      "static,dsn",
      /^CIM_DISCOVERY_METHOD: holds "static,dsn": discovery\.methods\[1\] is "dsn"/,
    ],
    ["CIM_STATIC_NODES", "leaf1", /holds "leaf1", not JSON; write \[\{/],
    ["CIM_STATIC_NODES", "{}", /not a JSON list/],
    [
      "CIM_STATIC_NODES",
      '[{"name":"a","url":"nats://x:1"},{"name":"a","url":"nats://x:2"}]',
      /^CIM_STATIC_NODES: holds .*staticNodes\[1\]\.name is "a", the same as .*\[0\]\.name; write each node once$/,
    ],
    [
      "CIM_STATIC_NODES",
      '[{"nmae":"a","url":"nats://x:1","name":"a"}]',
      /discovery\.staticNodes\[0\]\.nmae is not a known key; write discovery\.staticNodes\[0\]\.name$/,
    ],
    ["CIM_HEALTH_INTERVAL", "30s", /holds "30s", not a number; write a number of seconds/],
    ["CIM_HEALTH_INTERVAL", "-1", /must be more than 0/],
    ["CIM_HEALTH_TIMEOUT", "99", /^CIM_HEALTH_TIMEOUT: holds "99": health\.timeoutS is 99, longer than/],
    ["CIM_HEALTH_RETRIES", "2.5", /must be a whole number/],
    ["CIM_SYNC_ENABLED", "maybe", /holds "maybe", not true or false; write true or false$/],
    [
      "CIM_SYNC_MODE",
      "causal",
      /holds "causal": sync\.mode is "causal", not yet offered by this build \(.*\); write eventual or strong$/,
    ],
    ["CIM_CONFLICT_RESOLUTION", "crtd", /holds "crtd": .*; write last-write-wins, vector-clock or crdt$/],
    ["CIM_HTTP", "9464", /must be host:port/],
    ["CIM_NATS_ULR", "nats://x:1", /^CIM_NATS_ULR: is no variable of cim; write CIM_NATS_URL$/],
    ["cim_http", "x", /write CIM_HTTP$/],
  ])("%s=%s is one line that names the variable", (name, value, line) => {
    const found = lines({ [name]: value });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(line);
  });

  it("leaves other variables of the family alone", () => {
    const env = Object.fromEntries([...FOREIGN_VARIABLES].map((name) => [name, "x"]));
    expect(lines({ ...env, PATH: "/bin", CIMENT: "x", CIM_SOMETHING_ELSE_ALTOGETHER: "x" })).toEqual([]);
  });

  it("never crashes, and every fault is one line that names a variable", () => {
    const names = VARIABLES.map(({ name }) => name);
    const env = fc.dictionary(
      fc.oneof(
        fc.constantFrom(...names),
        fc.string().map((text) => `CIM_${text}`),
      ),
      fc.oneof(fc.string(), fc.json()),
    );
    fc.assert(
      fc.property(env, (values) => {
        for (const line of lines(values)) expect(line).toMatch(/^(CIM_|health\.)[^\n]*; write [^\n]+$/i);
      }),
      { numRuns: 500 },
    );
  });
});
