import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, connect as dial, type Socket } from "node:net";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { OwnServer } from "../../shared/daemon/own-server.ts";
import { ServerTooOld } from "../../shared/nats/server-version.ts";
import { Conditions } from "../../shared/observe/conditions.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

/** Before a real server, whose greeting says another version for as long as `version` is set. */
async function behindVersion(port: number) {
  const sockets = new Set<Socket>();
  const proxy = {
    version: undefined as string | undefined,
    port: 0,
    cut: () => sockets.forEach((socket) => void socket.destroy()),
  };
  const server = createServer((socket) => {
    const upstream = dial(port, "127.0.0.1");
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream);
    // The server says its version again once a client has connected, and several times in one piece or one in two.
    let rest = "";
    upstream.on("data", (data: Buffer) => {
      const text = rest + data.toString("latin1");
      const end = text.lastIndexOf("\n") + 1;
      rest = text.slice(end);
      const whole = text.slice(0, end);
      const { version } = proxy;
      socket.write(
        version ? whole.replaceAll(/"version":"[^"]+"/g, `"version":"${version}"`) : whole,
        "latin1",
      );
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    proxy.cut();
    server.close();
  });
  proxy.port = (server.address() as AddressInfo).port;
  return proxy;
}

test("a server that is too old ends a start, and is a condition when it comes while the daemon runs", async () => {
  await using fleet = await startNatsFleet({ leaves: [] });
  const proxy = await behindVersion(fleet.hub.port);
  const { dataDir, nats } = fleet.config("hub");
  const { agentSeedFile, sysSeedFile } = nats;
  const url = `nats://127.0.0.1:${proxy.port}`;
  const document = {
    node: "hub",
    role: "hub",
    dataDir,
    nats: { url, agentSeedFile, sysSeedFile },
    outbox: { maxBytes: 1024 * 1024 },
  };
  const conditions = new Conditions();
  const told: boolean[] = [];
  const make = () =>
    new OwnServer({
      config: derive(configDocument.parse(document)),
      program: "test",
      conditions,
      log: pino({ enabled: false }),
      onServer: (up) => void told.push(up),
      onLink: () => {},
    });

  proxy.version = "2.10.29";
  await using refused = make();
  await expect(refused.connect()).rejects.toThrow(ServerTooOld);

  proxy.version = undefined;
  await using own = make();
  await own.connect();
  await own.watch();
  proxy.version = "2.10.29";
  proxy.cut();
  const bound = { timeoutMs: 30_000 };
  await eventually(() => conditions.has("server-too-old"), { ...bound, what: "the condition" });
  const [condition] = conditions.failing().filter(({ code }) => code === "server-too-old");
  expect(condition?.text).toContain("nats-server is 2.10.29");
  expect(told).not.toContain(true);

  proxy.version = undefined;
  proxy.cut();
  await eventually(() => told.includes(true), { ...bound, what: "the right server" });
  expect(conditions.has("server-too-old")).toBe(false);
});
