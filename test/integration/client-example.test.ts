import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const SOURCE = join(import.meta.dirname, "../../shared/client/connect-cim.ts");

/** The program in the documentation of `connectCim`. */
async function exampleProgram(): Promise<string> {
  const text = await readFile(SOURCE, "utf8");
  const found = /^ \* ```ts\n([\s\S]*?)^ \* ```$/m.exec(text)?.[1];
  if (found === undefined) throw new Error("the documentation of connectCim has no example");
  return found.replaceAll(/^ \* ?/gm, "");
}

test("the example in the documentation runs as it stands", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 1024 * 1024, maxPayload: 1024 * 1024 }));
  await nc.close();
  await using dir = await tempDir();
  const program = join(dir.path, "example.ts");
  await writeFile(program, (await exampleProgram()).replace('from "cim"', `from ${JSON.stringify(SOURCE)}`));
  const run = promisify(execFile)(process.execPath, [program], {
    env: { ...process.env, CIM_NATS_URL: server.url },
    timeout: 90_000,
  });
  expect(await run).toEqual({ stdout: "test has them at 1, 2 and 3\n", stderr: "" });
});
