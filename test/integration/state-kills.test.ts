import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import { readStateCheckpoint } from "../../shared/follow/read-state.ts";
import { ensureStreams } from "../../shared/nats/ensure-stream.ts";
import { eventsStream } from "../../shared/nats/streams.ts";
import { eventually } from "../support/eventually.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { allStates, folded } from "../support/state-node.ts";

const AGGREGATES = 60;
const ROUNDS = 6;

const PROGRAM = fileURLToPath(new URL("../support/state-process.ts", import.meta.url));

/** A process that folds. */
function startFolder(url: string): ChildProcess & AsyncDisposable {
  const child = spawn(process.execPath, [PROGRAM, url], { stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(child, "exit");
  return Object.assign(child, {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  });
}

it("is killed at any moment: each event is in its state once", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  try {
    await ensureStreams(nc, [eventsStream({ maxBytes: null })]);
    const log = new LogByHand(nc);
    await log.reign(1, "aa");
    let written = 0;
    const writeSome = async () => {
      const events = Array.from({ length: 1500 }, () => ({
        node: `leaf${written % 3}`,
        aggregate: `a${written++ % AGGREGATES}`,
        data: { n: 1 },
      }));
      await log.events(events);
    };
    for (let round = 0; round < ROUNDS; round++) {
      await writeSome();
      const before = (await readStateCheckpoint(nc).catch(() => undefined))?.seq ?? 0;
      await using _folder = startFolder(server.url);
      // Somewhere in what it folds now: each round elsewhere.
      const at = before + 1 + Math.floor(((round + 1) / (ROUNDS + 1)) * 1400);
      await eventually(async () => ((await readStateCheckpoint(nc))?.seq ?? 0) >= at, { everyMs: 1 });
    }
    await using _last = startFolder(server.url);
    await folded(nc);
    const states = await allStates(nc);
    expect(states.size).toBe(AGGREGATES);
    let sum = 0;
    for (const { value, events } of states.values()) {
      // The counter itself would take an event twice and show it once: how many were folded is counted beside it.
      expect(value).toEqual({ n: events });
      sum += events;
    }
    expect(sum).toBe(written);
    expect((await readStateCheckpoint(nc))?.events).toBe(written);
  } finally {
    await nc.close();
  }
});
