import { DISASTERS, type Disaster } from "./disasters.ts";
import { runSimulation } from "./run.ts";

// node test/simulation/main.ts <first seed> <count>        many runs, tells those that fail
// node test/simulation/main.ts <seed> trace [disaster…]    one run, told step by step

const [first = "1", second = "1000", ...rest] = process.argv.slice(2);
if (second === "trace") {
  const disasters = DISASTERS.filter((disaster: Disaster) => rest.includes(disaster));
  const report = runSimulation(Number(first), { trace: true, ...(rest.length > 0 && { disasters }) });
  for (const line of report.trace) process.stdout.write(`${line}\n`);
  process.stdout.write(`${report.disasters.join(" ")}\n${report.faults.join("\n")}\n`);
} else {
  const started = performance.now();
  let failed = 0;
  let steps = 0;
  let events = 0;
  for (let seed = Number(first); seed < Number(first) + Number(second); seed++) {
    const report = runSimulation(
      seed,
      rest.length > 0 ? { disasters: DISASTERS.filter((d) => rest.includes(d)) } : {},
    );
    steps += report.steps;
    events += report.events;
    if (report.faults.length === 0) continue;
    failed += 1;
    if (failed <= 12)
      process.stdout.write(
        `seed ${seed} [${report.disasters.join(" ")}]\n  ${report.faults.slice(0, 3).join("\n  ").slice(0, 600)}\n`,
      );
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${second} runs, ${failed} failed, ${events} events, ${steps} steps, ${seconds} s\n`);
}
