import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetNode } from "../coordinator/fleet/fleet-node.ts";
import type { ConfigDocument } from "../shared/config/index.ts";
import { ConsulAgent, listInConsul } from "../test/support/consul-agent.ts";
import { DnsZone, SERVICE } from "../test/support/dns-zone.ts";
import { linkRawLeaf } from "../test/support/raw-leaf.ts";
import { Arm } from "./support/arms.ts";
import { type Figure, progress, report, spreadOf } from "./support/figures.ts";
import { LiveEvents } from "./support/live-events.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- discovery [--runs 30] [--quick] [--json]

From a change, a node more, to the coordinator's live event that tells of it, after which the node is in /api/v1/nodes: in
Consul (the tests' server, that speaks its protocol), in the hub's document (from SIGHUP on: the file is written by then), in DNS
with a TTL of 1 s (at a random moment of it), and a leaf that nobody named which links (from its call to the hub's port).
All sources are asked at once by one coordinator; they change in turn.
`;

const options = readOptions(USAGE, { values: ["runs"] });
const runs = options.number("runs", options.quick ? 3 : 30);
const TTL_S = 1;
const TIMEOUT_MS = 30_000;
const nodeOf = (name: string) => ({ name, url: "nats://127.0.0.9:4222" });

await using consul = await ConsulAgent.start();
await using dns = await DnsZone.start();
dns.ttlS = TTL_S;
dns.list([nodeOf("dns-0")]);
const discovery: ConfigDocument["discovery"] = {
  methods: ["static", "consul", "dns"],
  consulAddr: consul.address,
  dnsQuery: SERVICE,
  dnsServers: [dns.address],
};
const configure = (document: ConfigDocument): ConfigDocument =>
  document.role === "hub" ? { ...document, discovery } : document;
await using arm = await Arm.start("cim", { leaves: 1, configure });
using events = await LiveEvents.open(arm.hub.httpUrl);
/** Its key is allowed to link; who links with it says its name itself. */
const seed = (await readFile(`${arm.leaf().paths.data}/link.nk`, "utf8")).trim();
const links: Disposable[] = [];

/** Makes a node of that name known; gives the moment from which that counts. */
type Change = (name: string, names: readonly string[]) => Promise<number>;
const CHANGES: Readonly<Record<string, { readonly mostMs: number; readonly make: Change }>> = {
  consul: {
    mostMs: 100,
    make: async (name) => {
      const atMs = performance.now();
      await listInConsul(consul.address, [nodeOf(name)], new Set());
      return atMs;
    },
  },
  static: { mostMs: 100, make: reload },
  dns: {
    mostMs: TTL_S * 1000 + 100,
    make: async (_, names) => {
      dns.list(["dns-0", ...names].map(nodeOf));
      return performance.now();
    },
  },
  link: {
    mostMs: 250,
    make: async (name) => {
      const atMs = performance.now();
      links.push(await linkRawLeaf(arm.hub.ports.leaf as number, name, seed));
      return atMs;
    },
  },
};

const found = new Map(Object.keys(CHANGES).map((source): [string, number[]] => [source, []]));
for (let run = 1; run <= runs; run++) {
  for (const [source, { make }] of Object.entries(CHANGES)) {
    const names = Array.from({ length: run }, (_, at) => `${source}-${at + 1}`);
    const name = names.at(-1) as string;
    await sleep(Math.random() * TTL_S * 1000);
    const [told, changedAtMs] = await Promise.all([
      events.after(performance.now(), name, () => true, TIMEOUT_MS),
      make(name, names),
    ]);
    await isListed(name);
    found.get(source)?.push(told.atMs - changedAtMs);
  }
}
for (const link of links) link[Symbol.dispose]();
for (const [source, tookMs] of found) progress(`${source}: ${tookMs.map(Math.round).join(" ")} ms`);
const figures = [...found].flatMap(([source, tookMs]): Figure[] => {
  const { p50, max } = spreadOf(tookMs);
  const goal = { most: CHANGES[source]?.mostMs as number };
  return [
    { what: `${source}, p50`, unit: "ms", cim: p50 },
    { what: `${source}, longest`, unit: "ms", cim: max, goal },
  ];
});
report(`discovery: from a change to the live event, ${runs} each`, figures, { json: options.json });

/** An operator's way: the document is written anew, and the daemon told. */
async function reload(_: string, names: readonly string[]): Promise<number> {
  const { paths, daemon } = arm.hub;
  const document = JSON.parse(await readFile(paths.config, "utf8")) as ConfigDocument;
  const changed = { ...document, discovery: { ...discovery, staticNodes: names.map(nodeOf) } };
  await writeFile(paths.config, JSON.stringify(changed));
  const atMs = performance.now();
  daemon?.signal("SIGHUP");
  return atMs;
}

async function isListed(name: string): Promise<void> {
  const reply = await fetch(`${arm.hub.httpUrl}/api/v1/nodes`);
  const { nodes } = (await reply.json()) as { nodes: FleetNode[] };
  if (!nodes.some((node) => node.name === name)) throw new Error(`${name} was told of, and is not listed`);
}
