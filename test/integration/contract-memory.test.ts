import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ContractChangeRefused, parseConfig, readContracts } from "../../shared/config/index.ts";
import { CONTRACTS_METADATA } from "../../shared/consistency/contract/published-contracts.ts";
import { ContractsUnreadable, requireContractChange } from "../../shared/daemon/contract-memory.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStreams } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { readNodeContracts } from "../../shared/nats/node-contracts.ts";
import { wantedStreams } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

let server: TestNatsServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
});
afterAll(async () => {
  await nc?.close();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  for (const stream of [STREAM.outbox, STREAM.events]) {
    await jetStreamApi(nc, `STREAM.DELETE.${stream}`, undefined).catch(() => undefined);
  }
});

const hub = { node: "hub", role: "hub", dataDir: "/nowhere", nats: { maxPayload: 1024 * 1024 } };
const configOf = (contracts: object, sync: object = {}) => parseConfig({ ...hub, contracts, sync });

/** As a daemon that starts: judges, then publishes. */
async function start(...declared: Parameters<typeof configOf>): Promise<void> {
  const config = configOf(...declared);
  const contracts = readContracts(config);
  await requireContractChange(nc, config, contracts);
  const streams = wantedStreams({ ...config, outbox: { maxBytes: 1024 * 1024 } }, contracts);
  await ensureStreams(
    nc,
    streams.filter(({ name }) => name === STREAM.outbox || name === STREAM.events),
  );
}

const append = async (subject: string) => {
  await nc.request(subject, "{}", { timeout: 20_000 });
};

describe("a node's contracts", () => {
  it("are published to its programs, and anew when they change", async () => {
    expect(await readNodeContracts(nc)).toBeUndefined();
    await start({});
    expect(await readNodeContracts(nc)).toMatchObject({ usual: { mode: "eventual" }, domains: {} });
    await start({ orders: { resolver: "crdt", fields: { count: "counter" } } });
    expect(await readNodeContracts(nc)).toMatchObject({
      domains: { orders: { resolver: "crdt", fields: { count: "counter" } } },
    });
  });

  it("may be any of a domain that has no event here", async () => {
    await start({});
    await append("cim.events.person.ada.Created");
    await start({ orders: { mode: "strong" } });
    await start({ orders: { resolver: "crdt" } });
    await start({});
  });

  it.each([
    ["outbox", "cim.events.orders.1.Placed"],
    ["log", "cim.log.orders.1.Placed"],
  ])("are not changed without a word where the %s has events", async (_, subject) => {
    await start({});
    await append(subject);
    await expect(start({ orders: { mode: "strong" } })).rejects.toThrow(ContractChangeRefused);
    expect(await readNodeContracts(nc)).toMatchObject({ domains: {} });
    await start({ orders: { subscribers: [], retentionDays: 100 } });
    const refusal: unknown = await start({ orders: { mode: "strong" } }).catch((error: unknown) => error);
    const replaces = /"replaces": "([0-9a-f]{16})"/.exec(String(refusal))?.[1];
    await start({ orders: { mode: "strong", replaces } });
    expect(await readNodeContracts(nc)).toMatchObject({ domains: { orders: { mode: "strong" } } });
    // Said once, it means nothing more.
    await start({ orders: { mode: "strong", replaces } });
    await expect(start({ orders: { mode: "eventual", replaces } })).rejects.toThrow(
      /contracts\.orders\.mode/,
    );
  });

  it("are not changed for all domains at once where there is any event", async () => {
    await start({});
    await append("cim.log._cim.reign");
    await start({}, { mode: "strong" });
    await start({});
    await append("cim.log.orders.1.Placed");
    await expect(start({}, { mode: "strong" })).rejects.toThrow(/: sync\.mode: was "eventual" and is now/);
  });

  it("of a newer build are left as they are", async () => {
    await start({});
    const { config } = await jetStreamApi<{ config: { metadata: object } }>(
      nc,
      `STREAM.INFO.${STREAM.outbox}`,
      undefined,
    );
    const newer = { ...config, metadata: { ...config.metadata, [CONTRACTS_METADATA]: '{"v":2}' } };
    await jetStreamApi(nc, `STREAM.UPDATE.${STREAM.outbox}`, newer);
    await expect(start({})).rejects.toThrow(ContractsUnreadable);
    expect(await readNodeContracts(nc)).toBe("unreadable");
  });
});
