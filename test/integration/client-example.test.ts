import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { outboxStream, readersStream } from "../../shared/nats/streams.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const CLIENT = join(import.meta.dirname, "../../shared/client");
const CONNECT = join(CLIENT, "connect-cim.ts");

/** The program in the documentation of a source file. */
async function exampleProgram(source: string): Promise<string> {
  const text = await readFile(source, "utf8");
  const found = /^ \* ```ts\n([\s\S]*?)^ \* ```$/m.exec(text)?.[1];
  if (found === undefined) throw new Error(`the documentation in ${source} has no example`);
  return found.replaceAll(/^ \* ?/gm, "").replace('from "cim"', `from ${JSON.stringify(CONNECT)}`);
}

async function startNode(): Promise<TestNatsServer> {
  const server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 1024 * 1024, maxPayload: 1024 * 1024 }));
  await ensureStream(nc, readersStream());
  await nc.close();
  return server;
}

async function runExample(server: TestNatsServer, source: string, dir: string) {
  const program = join(dir, "example.ts");
  await writeFile(program, await exampleProgram(source));
  return await promisify(execFile)(process.execPath, [program], {
    env: { ...process.env, CIM_NATS_URL: server.url, DATABASE: join(dir, "orders.db") },
    timeout: 120_000,
  });
}

test("the example in the documentation runs as it stands", async () => {
  await using server = await startNode();
  await using dir = await tempDir();
  const ran = await runExample(server, CONNECT, dir.path);
  expect(ran).toEqual({ stdout: "test has them at 1, 2 and 3\nwas Ada Lovelace\n", stderr: "" });
});

test("so do those of a durable name, and of a group with the checkpoints in its own transactions", async () => {
  await using server = await startNode();
  await using dir = await tempDir();
  await using cim = await connectCim({ url: server.url });
  for (const aggregate of ["ada", "ada", "ada"])
    await cim.append({ domain: "orders", aggregate, type: "Placed" });
  // Of the same aggregate, so that it is the last of its partition.
  await cim.append({ domain: "orders", aggregate: "ada", type: "DayClosed" });
  const named = await runExample(server, join(CLIENT, "reader/named-reader.ts"), dir.path);
  expect(named.stdout).toBe("ada Placed\nada Placed\nada Placed\nada DayClosed\n");
  await runExample(server, join(CLIENT, "reader/group-reader.ts"), dir.path);
  await cim.append({ domain: "orders", aggregate: "ada", type: "DayClosed" });
  await runExample(server, join(CLIENT, "reader/group-reader.ts"), dir.path);
  using db = new DatabaseSync(join(dir.path, "orders.db"));
  expect(db.prepare("SELECT customer, count FROM orders").all()).toEqual([{ customer: "ada", count: 5 }]);
});
