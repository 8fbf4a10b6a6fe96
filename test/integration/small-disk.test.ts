import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { mountedDisks, smallDisk } from "../support/small-disk.ts";

const SUPPORT = join(import.meta.dirname, "../support/small-disk.ts");
const MiB = 1024 * 1024;

/** A process with a disk, which it never gives back. */
async function holder(then: string): Promise<{ readonly child: ChildProcess; readonly path: string }> {
  const program = `
    const { smallDisk } = await import(${JSON.stringify(SUPPORT)});
    const disk = await smallDisk(${MiB});
    console.log(disk?.path ?? "none");
    ${then}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += String(chunk);
  });
  return { child, path: (await eventually(() => said.endsWith("\n") && said)).trim() };
}

test("the disk of a process that was killed is taken down by the next one, that of a running one is not", async ({
  skip,
}) => {
  const [killed, running] = [
    await holder("setInterval(() => {}, 1000);"),
    await holder("setInterval(() => {}, 1000);"),
  ];
  try {
    if (killed.path === "none") return skip("mounting is not allowed here");
    killed.child.kill("SIGKILL");
    await once(killed.child, "exit");
    expect(await mountedDisks()).toEqual(expect.arrayContaining([killed.path, running.path]));
    await using disk = await smallDisk(MiB);
    const mounted = await mountedDisks();
    expect(mounted).toEqual(expect.arrayContaining([disk?.path, running.path]));
    expect(mounted).not.toContain(killed.path);
    expect(existsSync(killed.path)).toBe(false);
  } finally {
    for (const { child } of [killed, running]) child.kill("SIGKILL");
    await using _ = await smallDisk(MiB);
  }
});

test("a process that ends without giving its disk back leaves none", async ({ skip }) => {
  const { child, path } = await holder("process.exit(1);");
  if (path === "none") return skip("mounting is not allowed here");
  if (child.exitCode === null) await once(child, "exit");
  expect(await mountedDisks()).not.toContain(path);
});
