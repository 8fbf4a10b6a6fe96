import { expect, test } from "vitest";
import { parseGoDurationMs } from "../../shared/nats/go-duration.ts";
import { LINK_PATIENCE } from "../../shared/nats/link-patience.ts";
import {
  renderLinkRemote,
  renderServerConfig,
  type ServerConfigInput,
} from "../../shared/nats/server-config.ts";
import { Include, renderConfigText } from "../../shared/nats/server-config-text.ts";

const keys = { agent: "UAGENT", sys: "USYS" };
const hub: ServerConfigInput = {
  node: "hub",
  role: "hub",
  nats: {
    url: "nats://0.0.0.0:4222",
    monitor: "127.0.0.1:8222",
    storeDir: "/var/lib/cim/nats",
    leafListen: "0.0.0.0:7422",
    hubDomain: "hub",
    hubs: [],
    anonymousApp: true,
    maxPayload: 8388608,
    maxFile: 10737418240,
    maxMemory: 268435456,
    syncInterval: "always",
  },
  leaves: [
    { name: "leaf1", publicKey: "ULEAF1" },
    { name: "leaf2", publicKey: "ULEAF2" },
  ],
  heartbeat: { preset: "lan" },
};
const leaf: ServerConfigInput = {
  ...hub,
  node: "leaf1",
  role: "leaf",
  nats: { ...hub.nats, leafListen: null, hubs: ["nats-leaf://10.0.0.1:7422", "nats-leaf://10.0.0.2:7422"] },
  leaves: [],
};

test("a hub listens for links and lists who may link; nothing in it is secret", () => {
  const text = renderServerConfig(hub, keys);
  expect(text).toContain('server_name: "hub"');
  expect(text).toContain('listen: "0.0.0.0:7422"');
  for (const key of ["UAGENT", "USYS", "ULEAF1", "ULEAF2"]) expect(text).toContain(`nkey: "${key}"`);
  expect(text).not.toContain("remotes");
  expect(text).not.toMatch(/SU[A-Z2-7]{56}/);
});

test("a leaf dials its hubs in the order given and keeps events and log off the link", () => {
  const text = renderServerConfig(leaf, keys);
  expect(text.indexOf("10.0.0.1:7422")).toBeLessThan(text.indexOf("10.0.0.2:7422"));
  expect(text).toContain("no_randomize: true");
  expect(text).toContain('include "link-remote.conf"');
  expect(
    text.match(
      /deny_(im|ex)ports: \[\s+"cim.events.>"\s+"cim.log.>"\s+"cim.readers.>"\s+"cim.answers.>"\s+\]/g,
    ),
  ).toHaveLength(2);
  expect(text).not.toContain("LEAFNODE");
  expect(renderLinkRemote("SUSECRET")).toBe('nkey: "SUSECRET"\n');
});

test("a leaf's rights name that leaf alone", () => {
  const text = renderServerConfig(hub, keys);
  const rights = text.slice(text.indexOf("# link of leaf1"), text.indexOf("# link of leaf2"));
  expect(rights).toContain("cim.ingest.leaf1");
  expect(rights).not.toContain("leaf2");
  const subjects = [...rights.matchAll(/^\s+"([^"]+)"$/gm)].map((match) => match[1] ?? "");
  // What everybody may hear, and the log's own.
  const common = /^cim\.fleet\.changed$|API\.(STREAM|DIRECT)/;
  for (const subject of subjects.filter((s) => s.includes(".") && !common.test(s))) {
    expect(subject).toMatch(/\bleaf1\b/);
  }
});

test("without anonymous programs there is no user for them", () => {
  const text = renderServerConfig({ ...hub, nats: { ...hub.nats, anonymousApp: false } }, keys);
  expect(text).not.toContain("no_auth_user");
  expect(text).not.toContain("cim.queries.>");
});

test("monitoring, links and hubs can be off", () => {
  const alone = { ...hub, nats: { ...hub.nats, monitor: null, leafListen: null } };
  expect(renderServerConfig(alone, keys)).not.toMatch(/http|leafnodes/);
  expect(renderServerConfig({ ...leaf, nats: { ...leaf.nats, hubs: [] } }, keys)).not.toContain("leafnodes");
});

test("patience with the link follows the network", () => {
  const pings = (preset: "lan" | "wan" | "satellite") =>
    /ping_interval: "(.*)"\nping_max: (\d)/
      .exec(renderServerConfig({ ...leaf, heartbeat: { preset } }, keys))
      ?.slice(1);
  expect(pings("lan")).toEqual(["1s", "2"]);
  expect(pings("satellite")).toEqual(["5s", "3"]);
  expect(renderServerConfig(leaf, keys)).toContain('reconnect: "200ms"');
});

test("the text: blocks, lists, comments, includes, escapes; undefined leaves a key out", () => {
  const text = renderConfigText({
    a: 'say "hi" \\ $HOME\n',
    off: undefined,
    b: { n: 1, yes: true, secret: new Include("s.conf") },
    list: ["x", { comment: "why", block: { k: "v" } }],
    none: [],
  });
  expect(text).toBe(
    [
      'a: "say \\"hi\\" \\\\ $HOME\\n"',
      "b {",
      "  n: 1",
      "  yes: true",
      '  include "s.conf"',
      "}",
      "list: [",
      '  "x"',
      "  # why",
      "  {",
      '    k: "v"',
      "  }",
      "]",
      "none: []",
      "",
    ].join("\n"),
  );
});

test("data that may be queued on a link drains before its pings run out", () => {
  for (const { pingInterval, pingMax, drainMs } of Object.values(LINK_PATIENCE)) {
    // The ping just behind it is answered too late when the timer fires once more than pings may be out.
    expect(drainMs).toBeLessThan(pingMax * (parseGoDurationMs(pingInterval) ?? 0));
  }
});

const strong = { sync: { mode: "eventual" }, contracts: { orders: { mode: "strong" }, person: {} } } as const;

test("strong domains alone are mapped to commits, under the node's own name", () => {
  const ofLeaf = renderServerConfig({ ...leaf, ...strong }, keys);
  expect(ofLeaf).toContain('"cim.events.orders.>": "cim.commit.leaf1.orders.>"');
  expect(ofLeaf).not.toContain("person.>");
  expect(ofLeaf.match(/cim\.commit\.(?!leaf1\.orders\.>)/)).toBeNull();
  expect(renderServerConfig(leaf, keys)).not.toContain("cim.commit");
  const all = renderServerConfig({ ...leaf, sync: { mode: "strong" } }, keys);
  expect(all).toContain('"cim.events.>": "cim.commit.leaf1.>"');
});

test("a hub's programs commit as the hub, each leaf as itself, and nobody where no domain is strong", () => {
  const text = renderServerConfig({ ...hub, ...strong }, keys);
  const [app = "", one = "", two = ""] = ["# app", "# link of leaf1", "# link of leaf2"].map(
    (from, at, all) =>
      text.slice(text.indexOf(from), at + 1 < all.length ? text.indexOf(all[at + 1] as string) : undefined),
  );
  const commits = (part: string) => part.match(/cim\.commit\.[^"]+/g);
  expect(commits(app)).toEqual(["cim.commit.hub.orders.>"]);
  expect(commits(one)).toEqual(["cim.commit.leaf1.orders.>"]);
  expect(commits(two)).toEqual(["cim.commit.leaf2.orders.>"]);
  expect(renderServerConfig(hub, keys)).not.toContain("cim.commit");
});
