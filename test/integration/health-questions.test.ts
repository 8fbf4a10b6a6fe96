import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { Fleet } from "../../coordinator/fleet/fleet.ts";
import { HealthQuestions } from "../../coordinator/health/health-questions.ts";
import { probeUrl } from "../../coordinator/health/probe-url.ts";
import { configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { askNode } from "../../shared/nats/ask-node.ts";
import { LinkWatch } from "../../shared/nats/link-watch.ts";
import { heartbeatSubject, statusSubject } from "../../shared/protocol/subjects.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { heartbeatOf } from "../support/heartbeat.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

test("an agent that is silent on a server that answers is down; one that answers when asked is up", async () => {
  await using servers = await startNatsFleet({ leaves: ["leaf1", "leaf2"] });
  const hub = await servers.connect("hub", "agent");
  const fleet = new Fleet(
    derive(configDocument.parse({ node: "hub", role: "hub", dataDir: "/tmp/none" })),
    Date.now(),
  );
  // An agent that sends no heartbeats, but says how it is.
  const agent = await servers.connect("leaf2", "agent");
  agent.subscribe(statusSubject("leaf2"), {
    callback: (_, message) => void message.respond(JSON.stringify(heartbeatOf("leaf2"))),
  });
  await using questions = new HealthQuestions({
    fleet,
    probeTimeoutMs: 5_000,
    onStatus: (_, data) => fleet.onHeartbeat(JSON.parse(Buffer.from(data).toString()), Date.now(), true),
  });
  await using links = new LinkWatch({
    nc: await servers.connect("hub", "sys"),
    onChange: (change) => fleet.onLink(change, Date.now()),
  });
  questions.start(hub);
  await links.start();
  const health = (name: string) => fleet.get(name, Date.now())?.health;
  const bound = { timeoutMs: 30_000 };
  await eventually(() => health("leaf1")?.part === "agent", { ...bound, what: "leaf1 down" });
  await eventually(() => health("leaf2")?.state === "up", { ...bound, what: "leaf2 up" });

  await servers.server("leaf1").kill();
  await eventually(() => health("leaf1")?.state === "unreachable", { ...bound, what: "leaf1 unreachable" });
});

test("of a leaf's API the hub may ask that one question, and a heartbeat only comes under its own name", async () => {
  await using servers = await startNatsFleet();
  const hub = await servers.connect("hub", "agent");
  const ask = (subject: string) => askNode(hub, "leaf1", subject, "", { timeoutMs: 2_000 });
  await eventually(() => ask("$JS.leaf1.API.INFO"), { timeoutMs: 30_000, what: "the API over the link" });
  for (const verb of ["STREAM.LIST", "STREAM.DELETE.CIM_OUTBOX", "META.LEADER.STEPDOWN"]) {
    await expect(ask(`$JS.leaf1.API.${verb}`)).rejects.toThrow();
  }
  const heard: string[] = [];
  hub.subscribe("cim.node.*.heartbeat", { callback: (_, { subject }) => void heard.push(subject) });
  await hub.flush();
  const leaf = await servers.connect("leaf1", "agent");
  await eventually(
    () => {
      leaf.publish(heartbeatSubject("leaf2"));
      leaf.publish(heartbeatSubject("leaf1"));
      return heard.includes(heartbeatSubject("leaf1"));
    },
    { timeoutMs: 30_000, what: "its own heartbeat" },
  );
  expect(heard).not.toContain(heartbeatSubject("leaf2"));
});

test("a probe tells a server, a closed port and silence apart", async () => {
  await using servers = await startNatsFleet({ leaves: [] });
  expect(await probeUrl(servers.hub.url, 20_000)).toBe("answers");
  expect(await probeUrl(`nats://127.0.0.1:${await freePort()}`, 20_000)).toBe("refused");
  expect(await probeUrl(servers.hub.monitorUrl, 20_000)).toBe("answers");
  // What accepts and says nothing may be something before the server, or a server that is stopped.
  const mute = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(mute, "listening");
  const { port } = mute.address() as AddressInfo;
  expect(await probeUrl(`nats://127.0.0.1:${port}`, 200)).toBe("silent");
  mute.close();
  expect(await probeUrl("no url", 200)).toBe("silent");
});
