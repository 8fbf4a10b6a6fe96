import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import type { FleetDocument } from "../../lab/fleet-document.ts";
import type { Report } from "../faults/run.ts";
import { CimCommand } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { tempDir } from "../support/temp-dir.ts";

/** `npm run faults -- --fleet`: a fleet that the run did not make, broken by its owner's commands; see docs/faults.md. */

const root = join(import.meta.dirname, "../..");
const entry = (path: string) => `"${process.execPath}" "${join(root, path)}"`;

it("a fleet of one's own is broken by its commands, and judged", async () => {
  await using dir = await tempDir("cim-own-fleet-");
  const labDir = join(dir.path, "lab");
  await using lab = new CimCommand(["lab", "up", "--leaves", "1", "--json", "--dir", labDir]);
  const line = await eventually(() => lab.stdout.includes("\n") && lab.stdout, { timeoutMs: 120_000 });
  const fleet = JSON.parse(line) as FleetDocument;

  const done = join(dir.path, "done");
  const tell = (words: string) =>
    `${entry("cli/main.ts")} lab ${words} --dir "${labDir}" && echo "$CIM_FAULT_KIND $CIM_FAULT_NODE ${words.split(" ")[0]}" >> "${done}"`;
  const file = join(dir.path, "fleet.json");
  const nodes = [{ ...fleet.hub, role: "hub" }, ...fleet.leaves.map((leaf) => ({ ...leaf, role: "leaf" }))];
  await writeFile(
    file,
    JSON.stringify({
      nodes: nodes.map(({ name, role, nats }) => ({ name, role, natsUrl: nats })),
      commands: {
        cut: { begin: tell('link "$CIM_FAULT_NODE" down'), end: tell('link "$CIM_FAULT_NODE" up') },
        kill: {
          begin: tell('kill "$CIM_FAULT_NODE" --what "$CIM_FAULT_PART"'),
          end: tell('start "$CIM_FAULT_NODE"'),
        },
      },
    }),
  );
  const args = ["--fleet", file, "--faults", "8", "--every", "700", "--events", "1000", "--seed", "4"];
  const more = ["--only", "cut,kill,pause,reader", "--json", "--dir", join(dir.path, "run")];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, "test/faults/main.ts"), ...args, ...more],
    { timeout: 360_000, maxBuffer: 16 * 1024 * 1024 },
  );
  const report = JSON.parse(stdout) as Report;
  expect(report).toMatchObject({ ok: true, troubles: [], verdict: { acknowledged: 1000, logged: 1000 } });
  const { byKind, skipped, planned } = report.faults;
  expect(byKind.cut).toBeGreaterThan(0);
  expect(byKind.kill).toBeGreaterThan(0);
  const passedOver = skipped.filter(({ kind }) => kind === "pause");
  expect(passedOver).toMatchObject([{ why: "the fleet's file has no command for it" }]);
  expect(report.faults.done + (passedOver[0]?.count ?? 0)).toBe(planned);
  // By the commands, each begun and ended.
  const lines = (await readFile(done, "utf8")).trim().split("\n");
  for (const [kind, begin, end] of [
    ["cut", "link", "link"],
    ["kill", "kill", "start"],
  ] as const) {
    const of = lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.split(" ").at(-1));
    expect(of.filter((word) => word === begin || word === end)).toHaveLength(2 * (byKind[kind] ?? 0));
  }
});
