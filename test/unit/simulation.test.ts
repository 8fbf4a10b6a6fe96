import { describe, expect, it } from "vitest";
import { DISASTERS, type Disaster } from "../simulation/disasters.ts";
import { type RunOptions, runSimulation } from "../simulation/run.ts";

// CIM_SIM_SEEDS: how many runs of each kind; CIM_SIM_FIRST: the first seed. A failing one is told with the command that
// shows it step by step.
const SEEDS = Number(process.env.CIM_SIM_SEEDS ?? 100);
const FIRST = Number(process.env.CIM_SIM_FIRST ?? 1);

function failing(options: RunOptions): string[] {
  const failed: string[] = [];
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const { faults } = runSimulation(seed, options);
    if (faults.length === 0) continue;
    const command = ["node test/simulation/main.ts", seed, "trace", ...(options.disasters ?? [])].join(" ");
    failed.push(`${command}: ${faults[0]}`);
  }
  return failed;
}

describe("hub, leaves and network in virtual time", { timeout: 60_000 + SEEDS * 200 }, () => {
  it("holds whatever goes wrong, alone and together", () => {
    expect(failing({})).toEqual([]);
  });

  it("holds in bad weather alone: requests and answers lost, late, twice and out of order, writes unknown", () => {
    expect(failing({ disasters: [] })).toEqual([]);
  });

  it.each(DISASTERS.map((disaster): [Disaster] => [disaster]))("holds with %s", (disaster) => {
    expect(failing({ disasters: [disaster] })).toEqual([]);
  });

  it("commits to strong domains in most runs, and some of them conflict", () => {
    const runs = Array.from({ length: 10 }, (_, n) => runSimulation(FIRST + n).commits);
    const sum = (of: "stored" | "all") => runs.reduce((total, commits) => total + commits[of], 0);
    expect(sum("stored")).toBeGreaterThan(10);
    expect(sum("all")).toBeGreaterThan(sum("stored"));
  });

  it("is the same run for the same seed", () => {
    const tell = () => runSimulation(FIRST, { trace: true }).trace;
    expect(tell()).toEqual(tell());
  });
});
