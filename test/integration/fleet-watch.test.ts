import { pino } from "pino";
import { test } from "vitest";
import { Fleet } from "../../coordinator/fleet/fleet.ts";
import { FleetWatch } from "../../coordinator/fleet/fleet-watch.ts";
import { configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { LinkWatch } from "../../shared/nats/link-watch.ts";
import { bucketStream } from "../../shared/nats/streams.ts";
import { Conditions } from "../../shared/observe/conditions.ts";
import type { Heartbeat } from "../../shared/protocol/messages.ts";
import { BUCKET } from "../../shared/protocol/names.ts";
import { heartbeatSubject } from "../../shared/protocol/subjects.ts";
import { eventually } from "../support/eventually.ts";
import { heartbeatOf } from "../support/heartbeat.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

const HOUR_MS = 3_600_000;
const HUB_CONTRACTS = "00000000000000aa";
const bound = { timeoutMs: 30_000 };

/** A hub's fleet over a real link to `leaf1`, whose agent says what the test wants. */
async function scene() {
  const stack = new AsyncDisposableStack();
  const servers = stack.use(await startNatsFleet());
  const nc = await servers.connect("hub", "agent");
  await ensureStream(nc, bucketStream(BUCKET.nodes));
  const config = derive(
    configDocument.parse({
      node: "hub",
      role: "hub",
      dataDir: "/tmp/none",
      leaves: servers.config("hub").leaves,
    }),
  );
  const fleet = new Fleet(config, Date.now());
  const conditions = new Conditions();
  const log = pino({ enabled: false });
  const watch = stack.use(
    new FleetWatch({ fleet, config, conditions, log, contractsHash: () => HUB_CONTRACTS }),
  );
  await watch.start(nc);
  const onChange = watch.onLink.bind(watch);
  const links = stack.use(new LinkWatch({ nc: await servers.connect("hub", "sys"), onChange }));
  await links.start();
  const agent = await servers.connect("leaf1", "agent");
  return {
    fleet,
    watch,
    /** Says something at its pace until what is waited for holds. */
    async saying(heartbeats: () => Partial<Heartbeat>[], what: string, holds: () => boolean): Promise<void> {
      const timer = setInterval(() => {
        for (const change of heartbeats()) {
          const heartbeat = heartbeatOf("leaf1", { sentMs: Date.now(), ...change });
          agent.publish(heartbeatSubject("leaf1"), JSON.stringify(heartbeat));
        }
      }, 25);
      try {
        await eventually(
          () => {
            const nowMs = Date.now();
            watch.judge(fleet.list(nowMs), links.links, nowMs);
            return holds();
          },
          { ...bound, what },
        );
      } finally {
        clearInterval(timer);
      }
    },
    has: (code: "clock-skewed" | "contracts-differ" | "duplicate-name") => conditions.has(code, "leaf1"),
    leaf: () => fleet.get("leaf1", Date.now()),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("a leaf's clock an hour off is told, and its health is as any other's", async () => {
  await using its = await scene();
  const { saying, has, leaf } = its;
  const skewed = () => [{ sentMs: Date.now() + HOUR_MS }];
  await saying(skewed, "clock-skewed", () => has("clock-skewed") && leaf()?.health.state === "up");
  const right = () => [{}];
  await saying(right, "the right time", () => !has("clock-skewed") && leaf()?.health.state === "up");
});

test("two agents of one name are told for as long as there are two", async () => {
  await using its = await scene();
  const { saying, has, leaf } = its;
  await saying(
    () => [{ run: "a" }],
    "the first",
    () => leaf()?.health.state === "up",
  );
  const both = () => [{ run: "a" }, { run: "b" }];
  await saying(both, "duplicate-name", () => has("duplicate-name"));
  await saying(
    () => [{ run: "a" }],
    "one of them alone",
    () => !has("duplicate-name"),
  );
});

test("a node with other contracts than the hub's is named, and no other", async () => {
  await using its = await scene();
  const { saying, has, leaf } = its;
  const isUp = () => leaf()?.health.state === "up";
  // One that is too old to say which it has is not accused.
  await saying(
    () => [{}],
    "an agent that says nothing of contracts",
    () => isUp() && !has("contracts-differ"),
  );
  await saying(
    () => [{ contracts: "00000000000000bb" }],
    "other contracts",
    () => isUp() && has("contracts-differ"),
  );
  await saying(
    () => [{ contracts: HUB_CONTRACTS }],
    "the same contracts",
    () => isUp() && !has("contracts-differ"),
  );
});
