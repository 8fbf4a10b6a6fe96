import { createServer } from "node:net";
import { expect, test } from "vitest";
import { connectNats, NatsUnreachable } from "../../shared/nats/connect.ts";
import { createUserKey } from "../../shared/nats/nkeys.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startNatsServer } from "../support/nats-server.ts";

test("waits for a server that is not there yet, and comes back after each kill of it", async () => {
  const port = await freePort();
  const connecting = connectNats({ url: `nats://127.0.0.1:${port}`, name: "test", inboxPrefix: "_INBOX.n1" });
  await using server = await startNatsServer({ port });
  await using nc = disposable(await connecting);
  nc.it.subscribe("ping", { callback: (_, msg) => void msg.respond(`pong to ${msg.reply}`) });
  const tookMs: number[] = [];
  for (let round = 0; round < 4; round++) {
    expect((await nc.it.request("ping", "", { timeout: 20_000 })).string()).toMatch(/^pong to _INBOX\.n1\./);
    await server.kill();
    await server.restart();
    const readyMs = performance.now();
    await eventually(() => nc.it.request("ping", undefined, { timeout: 500 }), { what: "the connection" });
    tookMs.push(performance.now() - readyMs);
  }
  // Not a bound on speed: with the wrong policy (two seconds a try) every round takes longer.
  expect(Math.min(...tookMs)).toBeLessThan(1_500);
});

test("no server: a named error in time that says where and why", async () => {
  const url = `nats://127.0.0.1:${await freePort()}`;
  const error = (await connectNats({ url, name: "test", firstConnectTimeoutMs: 300 }).catch(
    (e: Error) => e,
  )) as NatsUnreachable;
  expect(error).toBeInstanceOf(NatsUnreachable);
  expect(error.message).toBe(`nats-server at ${url} cannot be used: connection refused (tried for 300 ms)`);
});

test("something that accepts and says nothing is given up as well", async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  try {
    await expect(
      connectNats({ url: `nats://127.0.0.1:${port}`, name: "test", firstConnectTimeoutMs: 400 }),
    ).rejects.toThrow(/cannot be used: .*timeout.*\(tried for 400 ms\)/);
  } finally {
    silent.close();
  }
});

test("a wrong key is refused at once, and the message does not hold it", async () => {
  const right = createUserKey();
  await using server = await startNatsServer({
    config: `authorization { users: [ { nkey: "${right.publicKey}" } ] }\n`,
  });
  await using nc = disposable(await connectNats({ url: server.url, name: "test", seed: right.seed }));
  await nc.it.flush();
  const wrong = createUserKey();
  const error = (await connectNats({ url: server.url, name: "test", seed: wrong.seed }).catch(
    (e: Error) => e,
  )) as Error;
  expect(error.message).toBe(
    `nats-server at ${server.url} cannot be used: it refuses the given key (authorization violation)`,
  );
  await expect(connectNats({ url: server.url, name: "test" })).rejects.toThrow(
    /refuses clients without credentials/,
  );
});

test("a server that refuses for a while, being reconfigured, does not end a connection that stood", async () => {
  const key = createUserKey();
  const config = (user: string) => `authorization { users: [ { nkey: "${user}" } ] }\n`;
  await using server = await startNatsServer({ config: config(key.publicKey) });
  await using nc = disposable(await connectNats({ url: server.url, name: "test", seed: key.seed }));
  await server.restart({ config: config(createUserKey().publicKey) });
  await eventually(async () => ((await server.log()).match(/authentication error/g)?.length ?? 0) > 3);
  await server.restart({ config: config(key.publicKey) });
  await eventually(() => nc.it.flush().then(() => true), { what: "the connection" });
});

test("stops waiting when told to", async () => {
  const url = `nats://127.0.0.1:${await freePort()}`;
  const stop = new AbortController();
  const connecting = connectNats({ url, name: "test", signal: stop.signal });
  stop.abort();
  await expect(connecting).rejects.toThrow(/stopped while connecting/);
});

test("logs the loss and the return", async () => {
  await using server = await startNatsServer();
  const said: string[] = [];
  const log = {
    info: (_: unknown, text: string) => void said.push(text),
    warn: (_: unknown, text: string) => void said.push(text),
  };
  await using _ = disposable(await connectNats({ url: server.url, name: "test", log }));
  await server.kill();
  await eventually(() => said.includes("connection to nats-server lost"));
  await server.restart();
  await eventually(() => said.includes("connection to nats-server is back"));
});

function disposable<T extends { close(): Promise<void> }>(it: T): AsyncDisposable & { it: T } {
  return { it, [Symbol.asyncDispose]: () => it.close() };
}
