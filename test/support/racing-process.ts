import { connectCim, type EventToAppend, VersionConflict } from "../../shared/client/connect-cim.ts";

// A program that competes for one aggregate until its standard input ends, for tests that run two: <url> <name>.
// A line for each attempt: `<expected> <stored at, or "conflict">`.
const [url, name] = process.argv.slice(2) as [string, string];

await using cim = await connectCim({ url });
console.log("ready");
const ended = new Promise<true>((resolve) => process.stdin.resume().once("end", () => resolve(true)));
let version: EventToAppend["expect"] = "none";
for (let n = 0; !(await Promise.race([ended, false])); n++) {
  const expected = typeof version === "string" ? 0 : version?.seq;
  const event = { domain: "person", aggregate: "ada", type: `By${name}`, data: { n } };
  try {
    version = await cim.append({ ...event, expect: version ?? "none" });
    console.log(`${expected} ${version.seq}`);
  } catch (error) {
    if (!(error instanceof VersionConflict) || typeof error.actual !== "number") throw error;
    version = { node: cim.node, seq: error.actual };
    console.log(`${expected} conflict`);
  }
}
