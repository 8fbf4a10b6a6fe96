import { cp } from "node:fs/promises";
import { Arm } from "./support/arms.ts";
import { appendSteadily, differences, LiveReader, liveTimes } from "./support/live-load.ts";
import { spreadOf } from "./support/figures.ts";
for (let i = 0; i < Number(process.argv[2] ?? 10); i++) {
  await using arm = await Arm.start("cim", { leaves: 1, copies: [], configure: (c: Record<string, unknown>) => ({ ...c, logLevel: "info" }) } as never);
  const count = 25_000, ratePerS = 10_000;
  const times = liveTimes(count);
  await using reader = await LiveReader.start(await arm.connect(arm.hub), "orders", times);
  const reading = reader.readAll(count);
  await appendSteadily(arm.leaf(), times, { ratePerS, from: 0, to: count, domain: "orders" });
  await reading;
  const s = spreadOf(differences(times.readMs, times.begunMs, 0));
  console.log(i, "p50", s.p50.toFixed(0), "p99", s.p99.toFixed(0));
  if (s.p99 > 1500) { await import("node:child_process").then((c) => c.execFileSync("cp", ["-r", arm.lab.dir, `/tmp/stall-${i}`], { stdio: "ignore" })); console.log("kept"); break; }
}
