import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";

const PROGRAM = join(import.meta.dirname, "../support/racing-process.ts");
const CONTESTED = 50;

interface Attempt {
  readonly expected: number;
  /** Undefined: a conflict. */
  readonly storedAt: number | undefined;
}

/** A program of its own that competes until told to end. */
class Racer implements AsyncDisposable {
  readonly #child;
  readonly #closed: Promise<unknown>;
  #said = "";

  constructor(url: string, name: string) {
    this.#child = spawn(process.execPath, [PROGRAM, url, name], { stdio: ["pipe", "pipe", "inherit"] });
    this.#closed = once(this.#child, "close");
    this.#child.stdout.on("data", (chunk) => {
      this.#said += String(chunk);
    });
  }

  get attempts(): Attempt[] {
    const lines = this.#said.split("\n").slice(0, -1);
    return lines.flatMap((line) => {
      const [expected, outcome] = line.split(" ");
      if (outcome === undefined) return [];
      return [{ expected: Number(expected), storedAt: outcome === "conflict" ? undefined : Number(outcome) }];
    });
  }

  /** Returns its exit code when all it said is here. */
  async end(): Promise<number | null> {
    this.#child.stdin.end();
    await this.#closed;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}

test("of two processes that decide on the same version of an aggregate exactly one is stored", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await using a = new Racer(server.url, "A");
  await using b = new Racer(server.url, "B");
  const contested = () => {
    const byA = new Set(a.attempts.map(({ expected }) => expected));
    return b.attempts.filter(({ expected }) => byA.has(expected)).length;
  };
  await eventually(() => contested() >= CONTESTED, { what: `${CONTESTED} versions that both decided on` });
  expect(await Promise.all([a.end(), b.end()])).toEqual([0, 0]);

  const attempts = [...a.attempts, ...b.attempts];
  const byVersion = Map.groupBy(attempts, ({ expected }) => expected);
  for (const [version, of] of byVersion) {
    const winners = of.filter(({ storedAt }) => storedAt !== undefined);
    // The next event of the aggregate, here the only one, is the next sequence.
    expect(winners, `after ${version}`).toEqual([{ expected: version, storedAt: version + 1 }]);
  }
  expect(byVersion.size).toBe((await streamState(nc, STREAM.outbox)).messages);
  await nc.close();
});
