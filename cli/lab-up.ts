import { relative } from "node:path";
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import { defaultLabDir } from "../lab/find-lab.ts";
import type { FleetDocument } from "../lab/fleet-document.ts";
import type { Lab as RunningLab } from "../lab/lab.ts";
import { parseWantedLeaves } from "../lab/node-plan.ts";
import { usage } from "./failure.ts";
import { textTable } from "./text-table.ts";

type LabUpOptions = {
  leaves?: string;
  dir: string;
  json?: boolean;
  bare?: boolean;
  standby?: boolean;
  cluster?: boolean;
  contracts?: string;
};

/** Two signals this close together are one wish: npm passes on the Ctrl-C that the terminal gave us already. */
const sameWishMs = 1_000;
const parentCheckMs = 250;
const endingSignals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export function registerLabUp(lab: Command): void {
  lab
    .command("up")
    .description(
      "Starts a hub and leaves, each with its own nats-server, store and daemon, and a link before each leaf. Runs until Ctrl-C; a second start in the same folder goes on with its data.",
    )
    .option(
      "--leaves <count or names>",
      "how many leaves, or their names with commas (default: as last time, at first 2)",
    )
    .option("--dir <folder>", "where everything is kept", defaultLabDir)
    .option("--json", "print one JSON line when the fleet is ready, and nothing else")
    .option(
      "--contracts <file>",
      "how domains replicate, as at the key contracts of a configuration (default: as last time)",
    )
    .option("--bare", "nats-servers and links alone, without our daemons")
    .addOption(new Option("--standby").hideHelp())
    .addOption(new Option("--cluster").hideHelp())
    .action(labUp);
}

async function labUp(options: LabUpOptions): Promise<void> {
  for (const name of ["standby", "cluster"] as const) {
    if (options[name] !== undefined) throw usage(`lab up: --${name} is not offered yet; leave it out`);
  }
  const leaves = options.leaves === undefined ? undefined : parseWantedLeaves(options.leaves);
  const say = (line: string) => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  const end = new AbortController();
  const hurry = new AbortController();
  const signalled = endOnSignals(end, hurry);
  const [{ Lab }, { readContractsFile }] = await Promise.all([
    import("../lab/lab.ts"),
    import("../lab/lab-contracts.ts"),
  ]);
  const contracts = options.contracts === undefined ? undefined : await readContractsFile(options.contracts);
  if (!options.json) say(styleText("dim", `Starting a fleet in ${options.dir} …`));
  let lab: RunningLab;
  try {
    lab = await Lab.up({
      dir: options.dir,
      ...(leaves !== undefined && { leaves }),
      ...(contracts !== undefined && { contracts }),
      daemons: !options.bare,
      onNotice: (line) => say(options.json ? line : `${styleText("dim", clock())}  ${line}`),
      signal: end.signal,
      hurry: hurry.signal,
    });
  } catch (error) {
    if (!end.signal.aborted) throw error;
    process.exitCode = endingSignals[await signalled];
    return;
  }
  if (options.json) process.stdout.write(`${JSON.stringify(lab.document)}\n`);
  else for (const line of welcome(lab.document, options.dir)) say(line);
  await signalled;
  if (!options.json) say(styleText("dim", "\nEnding the fleet …"));
  await lab.close();
  if (!options.json) say(styleText("dim", `Ended. The data stays in ${options.dir}.`));
}

/** Under npm a signal may end npm's own shell and never reach us: then its end is ours. */
function onParentGone(then: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    then();
  }, parentCheckMs);
  timer.unref();
}

/** The first signal asks for the end, another one a while later for a quick one. */
function endOnSignals(end: AbortController, hurry: AbortController): Promise<keyof typeof endingSignals> {
  return new Promise((resolve) => {
    let firstMs: number | undefined;
    for (const signal of Object.keys(endingSignals) as (keyof typeof endingSignals)[]) {
      process.on(signal, () => {
        const nowMs = performance.now();
        firstMs ??= nowMs;
        if (nowMs - firstMs > sameWishMs) hurry.abort();
        end.abort();
        resolve(signal);
      });
    }
    if (process.env.npm_lifecycle_event !== undefined) {
      onParentGone(() => {
        end.abort();
        resolve("SIGTERM");
      });
    }
  });
}

function welcome({ hub, leaves, dir }: FleetDocument, asGiven: string): string[] {
  const cim = import.meta.filename.endsWith(".ts") ? "npm run cim --" : "cim";
  const where = asGiven === defaultLabDir ? "" : ` --dir ${asGiven}`;
  const [first, second] = [leaves[0]?.name ?? hub.name, leaves[1]?.name ?? hub.name];
  const [heading = "", ...rows] = textTable(
    [
      ["NODE", "NATS", "HTTP", "LINK"],
      [hub.name, hub.nats, hub.http, ""],
      ...leaves.map((leaf) => [leaf.name, leaf.nats, leaf.http, leaf.link.condition]),
    ],
    "  ",
  );
  const tries = [
    `${cim} events tail --node ${second}${where}`,
    `${cim} events publish person ada PersonCreated --data '{"name":"Ada"}' --node ${first}${where}`,
    ...(leaves.length > 0 ? [`${cim} lab link ${first} down${where}`] : []),
  ];
  const count = leaves.length === 1 ? "1 leaf" : `${leaves.length} leaves`;
  return [
    styleText("bold", `A hub and ${count} are ready.`),
    "",
    styleText("dim", heading),
    ...rows,
    "",
    "Try, in another terminal:",
    ...tries.map((line) => `  ${styleText("cyan", line)}`),
    "",
    `Ctrl-C ends the fleet; logs and data are in ${relative(process.cwd(), dir) || dir}.`,
    "",
  ];
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}
