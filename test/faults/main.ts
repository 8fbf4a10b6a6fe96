/**
 * `npm run faults -- --leaves 4 --faults 300 --events 500000 --seed 1`: a lab under random faults, then the checker.
 * Exit code 0: nothing found; 1: something was, or it was interrupted; 2: wrong usage.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ZodError } from "zod";
import { LabError } from "../../lab/lab-error.ts";
import { chooseSeed } from "../support/load-seed.ts";
import { CommandTarget, readFleetFile } from "./command-target.ts";
import { type FaultKind, faultKinds, type Schedule, scheduleDocument } from "./fault.ts";
import { runOnLab } from "./lab-run.ts";
import { PlainReader } from "./reader.ts";
import { renderReport } from "./report.ts";
import { type Progress, type Report, runFaults } from "./run.ts";
import { cutSchedule, makeSchedule } from "./schedule.ts";
import { Screen } from "./screen.ts";
import type { FaultNode } from "./target.ts";

interface Options {
  readonly leaves: number;
  readonly faults: number;
  readonly events: number;
  readonly every: number;
  readonly seed?: number;
  readonly only?: readonly FaultKind[];
  readonly until?: number;
  readonly replay?: string;
  readonly fleet?: string;
  readonly report?: string;
  readonly dir?: string;
  readonly print?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly reader: "merged" | "plain";
}

/** Wrong usage, in one line. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

const count = (text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("Write a whole number from 1 on.");
};
const kinds = (text: string): FaultKind[] =>
  text.split(",").map((word) => {
    const kind = faultKinds.find((known) => known === word.trim());
    if (kind) return kind;
    throw new InvalidArgumentError(`"${word}" is not a kind of fault: write of ${faultKinds.join(",")}.`);
  });

const command = new Command("faults")
  .description("Breaks a fleet at random while it is written to and read, and checks what it kept.")
  .option("--leaves <n>", "leaves of the lab", count, 4)
  .option("--faults <n>", "how many faults", count, 300)
  .option("--events <n>", "how many events all writers together get acknowledged", count, 500_000)
  .option("--every <ms>", "mean time from one fault to the next", count, 1150)
  .option("--seed <n>", "makes the schedule; printed, and the same one makes it again", count)
  .option("--only <kinds>", `only faults of these kinds: ${faultKinds.join(",")}`, kinds)
  .option("--until <n>", "only the first n faults of the schedule", count)
  .option("--replay <file>", "a schedule that was saved (schedule.json of a run's folder)")
  .addOption(
    new Option("--reader <kind>", "by cim.subscribe, or by plain NATS")
      .choices(["merged", "plain"])
      .default("merged"),
  )
  .option("--fleet <file>", "not a lab but your own fleet, broken by your commands (docs/faults.md)")
  .option("--report <file>", "writes the report there as JSON")
  .option(
    "--dir <folder>",
    "where the lab, the ledgers and the logs are kept; default: a temporary one, kept if it is red",
  )
  .option("--print", "prints the schedule as JSON and does nothing")
  .option("--verbose", "prints each fault as it begins")
  .option("--json", "prints the report as one JSON document")
  .exitOverride();

async function main(): Promise<number> {
  const options = command.parse().opts<Options>();
  const fleet = options.fleet === undefined ? undefined : await readJson(options.fleet, readFleetFile);
  const schedule = cutSchedule(await scheduleOf(options, fleet?.nodes), options);
  if (options.print) {
    process.stdout.write(`${JSON.stringify(schedule, null, 1)}\n`);
    return 0;
  }
  const dir = resolve(options.dir ?? `/tmp/cim-faults-${schedule.seed ?? "replay"}-${process.pid}`);
  await mkdir(dir, { recursive: true });
  say(`seed ${schedule.seed ?? "none"}, ${schedule.faults.length} faults, folder ${dir}`);
  const interrupted = interruption();
  const screen = new Screen(schedule.faults.length, options.events);
  const run = {
    schedule,
    events: options.events,
    dir,
    signal: interrupted,
    ...(options.reader === "plain" && {
      readerOf: (node: FaultNode, path: string) => new PlainReader(node, path),
    }),
    onProgress: (progress: Progress) => screen.progress(progress),
    onLine: (line: string) => options.verbose && screen.line(line),
  };
  let report: Report;
  if (fleet) report = await runFaults({ ...run, target: new CommandTarget(fleet) });
  else report = await runOnLab(run);
  screen.end();
  const json = `${JSON.stringify(report, null, 1)}\n`;
  await writeFile(options.report ?? join(dir, "report.json"), json);
  process.stdout.write(options.json ? json : renderReport(report));
  if (report.ok && !report.interrupted && options.dir === undefined)
    await rm(dir, { recursive: true, force: true });
  else say(`kept: ${dir} (schedule.json, faults.jsonl, ledgers, logs in lab/<node>/)`);
  return report.ok && !report.interrupted ? 0 : 1;
}

async function scheduleOf(options: Options, own: Schedule["nodes"] | undefined): Promise<Schedule> {
  if (options.replay !== undefined)
    return await readJson(options.replay, (value) => scheduleDocument.parse(value));
  const leaves = Array.from({ length: options.leaves }, (_, at) => `leaf${at + 1}`);
  const lab = [
    { name: "hub", role: "hub" as const },
    ...leaves.map((name) => ({ name, role: "leaf" as const })),
  ];
  const { faults, every } = options;
  return makeSchedule({ seed: options.seed ?? chooseSeed(), nodes: own ?? lab, faults, everyMs: every });
}

async function readJson<T>(path: string, read: (value: unknown) => T): Promise<T> {
  try {
    return read(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    const [issue] = error instanceof ZodError ? error.issues : [];
    const where = issue && issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
    const why = issue ? where + issue.message : error instanceof Error ? error.message : String(error);
    throw new UsageError(`${path} can't be used: ${why}`);
  }
}

/** The first Ctrl-C ends the faults, what is broken is mended and judged; the second ends the program. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(1);
    say("ending: what is broken is mended, what was written is checked (once more: end at once)");
    controller.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return controller.signal;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError || error instanceof LabError || error instanceof Error) {
    process.stderr.write(`faults: ${error.message}\n`);
    return error instanceof UsageError || (error instanceof LabError && error.exitCode === 2) ? 2 : 1;
  }
  throw error;
});
// Clients that are closed leave timers of their requests behind, which would hold the process for a while.
process.stdout.write("", () => process.exit());
