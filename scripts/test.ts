/**
 * `npm test [-- vitest arguments]`: types, lint, layers, then every vitest project. The last line on stdout
 * is `N passed, N failed, N skipped`; a check that fails counts as one failure.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countTests, summaryLine, type VitestReport } from "./test-summary.ts";

const root = join(import.meta.dirname, "..");
const CHECKS = [
  { name: "typecheck", args: ["node_modules/typescript/bin/tsc", "--noEmit"] },
  { name: "lint", args: ["node_modules/@biomejs/biome/bin/biome", "check", "."] },
  { name: "layers", args: ["scripts/check-layers.ts"] },
];

const failedChecks: string[] = [];
for (const { name, args } of CHECKS) {
  say(name);
  if ((await runNode(args)) !== 0) failedChecks.push(name);
}

say("tests");
const { report, exitCode } = await runVitest(process.argv.slice(2));
const counts = countTests(report, exitCode);
const total = { ...counts, failed: counts.failed + failedChecks.length };

if (failedChecks.length > 0) process.stdout.write(`\nFailed checks: ${failedChecks.join(", ")}\n`);
if (total.failed > 0) process.exitCode = 1;
process.stdout.write(`${summaryLine(total)}\n`);

async function runVitest(args: string[]): Promise<{ report: VitestReport | undefined; exitCode: number }> {
  const folder = await mkdtemp(join(tmpdir(), "cim-test-"));
  const file = join(folder, "report.json");
  // On a terminal the default reporter redraws its progress; in a log every test prints as it ends.
  const reporter = process.stdout.isTTY ? "default" : "verbose";
  try {
    const exitCode = await runNode([
      "node_modules/vitest/vitest.mjs",
      "run",
      `--reporter=${reporter}`,
      "--reporter=json",
      `--outputFile.json=${file}`,
      ...args,
    ]);
    return { report: await readReport(file), exitCode };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readReport(file: string): Promise<VitestReport | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as VitestReport;
  } catch {
    return undefined; // it died before it could write one: counted as a failure
  }
}

/** Ctrl-C and SIGTERM end the child, and this process says what there was until then. */
function runNode(args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit" });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", forward);
    process.on("SIGTERM", forward);
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("SIGINT", forward);
      process.off("SIGTERM", forward);
      resolve(code ?? 1);
    });
  });
}

function say(title: string): void {
  process.stdout.write(`\n== ${title}\n`);
}
