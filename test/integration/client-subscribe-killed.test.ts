import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { eventually } from "../support/eventually.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const PROGRAM = fileURLToPath(new URL("../support/reading-process.ts", import.meta.url));
const KILLS = 3;
const PER_ROUND = 40;

test.each([
  ["transaction", "once when the checkpoint is in the reader's own transaction"],
  ["after", "at least once when it is kept after the event was handled"],
] as const)("%s: a reader that is killed anywhere gets every event %s", async (mode, _promise) => {
  await using server = await startNatsServer();
  await using dir = await tempDir("cim-reader-");
  const file = join(dir.path, "reader.db");
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  const log = new LogByHand(nc);
  await log.reign(1, "aa");
  await using cim = await connectCim({ url: server.url });
  const handled = () => {
    try {
      using db = new DatabaseSync(file, { readOnly: true, timeout: 20_000 });
      return db.prepare("SELECT id FROM handled ORDER BY n").all() as { id: string }[];
    } catch {
      return [];
    }
  };
  const expected: string[] = [];
  for (let round = 0; round <= KILLS; round++) {
    const isLast = round === KILLS;
    const child = spawn(process.execPath, [PROGRAM, server.url, file, mode], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exited = once(child, "exit");
    const before = handled().length;
    const own = Array.from({ length: PER_ROUND }, (_, i) => `own-${round * PER_ROUND + i + 1}`);
    await Promise.all(
      own.map((id) => cim.append({ domain: "person", aggregate: id, type: "Made", data: {}, id })),
    );
    const others = [round * PER_ROUND + 1, (round + 1) * PER_ROUND] as const;
    // The log comes with part of what was read ahead, and the reader is killed somewhere in all of it.
    await log.takeOutbox("test", round * PER_ROUND + PER_ROUND / 2);
    await log.others("leaf2", ...others);
    for (let n = others[0]; n <= others[1]; n++) expected.push(`leaf2-${n}`);
    expected.push(...own);
    const enough = isLast ? expected.length : before + 7 + round * 11;
    await eventually(() => new Set(handled().map(({ id }) => id)).size >= enough, {
      timeoutMs: 90_000,
      what: `${enough} events that were handled`,
    });
    child.kill("SIGKILL");
    await exited;
  }
  const ids = handled().map(({ id }) => id);
  expect([...new Set(ids)].toSorted()).toEqual(expected.toSorted());
  if (mode === "transaction") expect(ids.length).toBe(expected.length);
  const firsts = [...new Set(ids)];
  for (const origin of ["own", "leaf2"]) {
    const seqs = firsts.filter((id) => id.startsWith(origin)).map((id) => Number(id.split("-")[1]));
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  }
  await nc.close();
});
