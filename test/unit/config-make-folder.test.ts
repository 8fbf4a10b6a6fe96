import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeFolder } from "../../shared/config/make-folder.ts";
import { tempDir } from "../support/temp-dir.ts";

test("makes what is missing, for the owner alone, also for several at once", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "a", "b", "c");
  await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(dir.path, "a", "d"))]);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await makeFolder(path);
});

test("fails at what is no folder", async () => {
  await using dir = await tempDir();
  await writeFile(join(dir.path, "file"), "");
  await expect(makeFolder(join(dir.path, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeFolder(join(dir.path, "file", "a"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

test.skipIf(process.platform !== "linux")(
  "ends below /proc, where Node's recursive mkdir never does",
  async () => {
    await expect(makeFolder("/proc/nope/a")).rejects.toMatchObject({ code: "ENOENT" });
  },
);
