import { expect, it } from "vitest";
import { LinkProxy } from "../../lab/link-proxy.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { DnsZone, SERVICE } from "../support/dns-zone.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { Load } from "../support/load.ts";

it("a leaf's link follows its hub's SRV record, under load, with no restart and no event lost", async () => {
  await using zone = await DnsZone.start();
  const discovery = { methods: ["dns" as const], dnsQuery: SERVICE, dnsServers: [zone.address] };
  const configure = (document: ConfigDocument): ConfigDocument =>
    // Patient: a machine that stands still for a moment cuts no link, which would go on at the next address.
    ({ ...document, heartbeat: { preset: "wan" }, ...(document.role === "leaf" && { discovery }) });
  await using fleet = await Fleet.start({ leaves: 1, configure });
  const leaf = fleet.leaf("leaf1");
  const target = { host: "127.0.0.1", port: fleet.hub.ports.leaf as number };
  const listen = { host: "127.0.0.1", port: 0 };
  await using first = new LinkProxy({ listen, target });
  await using second = new LinkProxy({ listen, target });
  await Promise.all([first.start(), second.start()]);
  const configured = fleet.lab.link("leaf1");
  const pids = [leaf.nats?.pid, leaf.daemon?.pid];
  const load = fleet.use(await new Load(leaf, { ledger: fleet.ledger, ratePerS: 100 }).start());
  const someMore = async () => {
    const before = load.acknowledged;
    await eventually(() => load.acknowledged > before + 20, { what: "a writer at work" });
  };
  /** The zone says that the hub takes links at this port. */
  const hubIsAt = (port: number) => {
    const data = [`leafport=${port}`];
    zone.records = [
      { type: "SRV", name: SERVICE, data: { port: fleet.hub.ports.nats, target: "hub.cim.test" } },
      { type: "A", name: "hub.cim.test", data: "127.0.0.1" },
      { type: "TXT", name: "hub.cim.test", data },
    ];
  };
  await someMore();

  hubIsAt(first.port);
  await eventually(() => first.connections.open === 1, { what: "the link through the first" });
  await someMore();
  hubIsAt(second.port);
  await eventually(() => second.connections.open === 1 && first.connections.open === 0, {
    what: "the link through the second",
  });
  await someMore();
  // A zone that says nothing, or is not there, moves no link.
  zone.rcode = "SERVFAIL";
  await eventually(async () => (await fleet.conditionsOf(leaf)).includes("discovery-outage"));
  const varz = (await (await fetch(`${leaf.monitorUrl}/varz`)).json()) as {
    leaf: { remotes: { urls: string[] }[] };
  };
  expect(varz.leaf.remotes[0]?.urls[0]).toBe(`127.0.0.1:${second.port}`);
  zone.rcode = "NOERROR";
  // The hub is not where it is said to be: the link goes where the configuration has it.
  hubIsAt(1);
  await eventually(() => second.connections.open === 0 && configured.connections.open === 1, {
    what: "the link as configured",
  });
  await someMore();
  await load.stop();
  await fleet.settled();
  expect([leaf.nats?.pid, leaf.daemon?.pid]).toEqual(pids);
});
