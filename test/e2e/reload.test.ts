import { expect, it } from "vitest";
import { connectCim, OutboxFull } from "../../shared/client/connect-cim.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

const MiB = 1024 * 1024;
const event = { domain: "person", aggregate: "ada", type: "PersonMoved", data: "x".repeat(100_000) };

it("a raised outbox.maxBytes ends a full outbox with a reload, the link still down", async () => {
  let maxBytes = MiB;
  const configure = (document: ConfigDocument): ConfigDocument => ({ ...document, outbox: { maxBytes } });
  await using fleet = await Fleet.start({ leaves: 1, configure });
  const leaf = fleet.leaf("leaf1");
  await fleet.lab.link("leaf1").set({ state: "down" });
  await using cim = await connectCim({ url: leaf.natsUrl });
  const fill = async () => {
    for (;;) await cim.append(event);
  };
  await expect(fill()).rejects.toThrow(OutboxFull);
  // The last event did not fit: fill what is left, so that the agent calls it full.
  const small = { ...event, data: "x".repeat(2_000) };
  const fillUp = async () => {
    for (;;) await cim.append(small);
  };
  await expect(fillUp()).rejects.toThrow(OutboxFull);
  const full = async () => (await fleet.conditionsOf(leaf)).includes("outbox-full");
  await eventually(full, { what: "outbox-full" });
  maxBytes = 4 * MiB;
  await fleet.lab.reconfigure({ configure });
  await eventually(async () => !(await full()), { what: "the condition's end" });
  await cim.append(event);
});
