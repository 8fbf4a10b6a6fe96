import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { COMMAND_SUBJECT } from "../../shared/protocol/commands.ts";
import { ConsulAgent } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { startHubCoordinator } from "../support/hub-coordinator.ts";

const PATIENCE = { timeoutMs: 60_000 };

it("a reload changes how leaves are chosen, and who keeps routes is told", async () => {
  await using hub = await startHubCoordinator({ routing: { strategy: "round-robin", maxLagS: 60 } });
  const choice = () => hub.get("routes?domain=orders&command=Place");
  expect(await choice()).toMatchObject({ strategy: "round-robin", maxLagS: 60 });
  const leads = async () => (await hub.get<{ leads: boolean }>("status")).leads;
  await eventually(leads, { ...PATIENCE, what: "that it leads" });
  let told = 0;
  const program = await hub.nats.connect("hub", "app");
  program.subscribe(COMMAND_SUBJECT.fleetChanged, {
    callback: () => {
      told += 1;
    },
  });
  await program.flush();
  // Until one reload after another has been told of: that it began to lead was told, too.
  const strategies = ["least-loaded", "location-aware", "capability-based"] as const;
  for (const [at, strategy] of strategies.entries()) {
    const before = told;
    await hub.reload({ routing: { strategy, maxLagS: 10 + at } });
    expect(await choice()).toMatchObject({ strategy, maxLagS: 10 + at });
    await eventually(() => told > before, { ...PATIENCE, what: `the word of ${strategy}` });
  }
});

it("a reload changes how often a node is probed", async () => {
  let probes = 0;
  const server = createServer((socket) => {
    probes += 1;
    socket.on("error", () => {}).resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const discovery = { staticNodes: [{ name: "leaf7", url: `http://127.0.0.1:${port}` }] };
  try {
    await using hub = await startHubCoordinator({ discovery, health: { intervalS: 3600, retries: 1 } });
    // Nothing is heard of it: it is probed in a hurry at first, then at that pace, which is not seen here.
    await eventually(() => probes >= 3, { ...PATIENCE, what: "the first probes" });
    await hub.reload({ discovery, health: { intervalS: 0.2, timeoutS: 0.1, retries: 1 } });
    await eventually(() => probes >= 8, { ...PATIENCE, what: "probes at the new pace" });
  } finally {
    server.close();
  }
});

it("a reload enters the node into Consul's catalogue, enters it elsewhere, and takes it out", async () => {
  await using consul = await ConsulAgent.start();
  await using other = await ConsulAgent.start();
  const entered = (agent: ConsulAgent) => agent.services.map(({ ID, Name }) => `${ID} as ${Name}`).join();
  const discovery = { methods: ["static" as const], consulAddr: consul.address };
  await using hub = await startHubCoordinator({ discovery });
  const reload = (more: object) => hub.reload({ discovery: { ...discovery, ...more } });

  await reload({ consulRegister: true });
  await eventually(() => entered(consul) === "cim-hub as cim", { ...PATIENCE, what: "the entry" });
  await reload({ consulRegister: true, consulService: "fleet" });
  await eventually(() => entered(consul) === "cim-hub as fleet", { ...PATIENCE, what: "another service" });
  await reload({ consulRegister: true, consulAddr: other.address });
  await eventually(() => entered(other) === "cim-hub as cim", { ...PATIENCE, what: "another Consul" });
  expect(entered(consul)).toBe("");
  // One that can't be reached holds up no reload; the node is entered where it is wanted next all the same.
  await other.stop();
  await reload({ consulRegister: true });
  await eventually(() => entered(consul) === "cim-hub as cim", { ...PATIENCE, what: "the first again" });
  await reload({});
  await eventually(() => entered(consul) === "", { ...PATIENCE, what: "no entry" });
});
