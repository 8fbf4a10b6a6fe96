import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAccount } from "@nats-io/nkeys";
import { expect, test } from "vitest";
import { ensureSeedFile, isUserPublicKey, readSeedFile, SeedFileError } from "../../shared/nats/nkeys.ts";
import { withTempDir } from "../support/temp-dir.ts";

test("makes a seed at first need, readable by its owner alone, and keeps it", async () => {
  await withTempDir(async (dir) => {
    const path = join(dir, "keys", "agent.nk");
    const made = await ensureSeedFile(path);
    expect(isUserPublicKey(made.publicKey)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, "keys"))).mode & 0o777).toBe(0o700);
    expect(await ensureSeedFile(path)).toEqual(made);
    expect(await readSeedFile(path)).toEqual(made);
    expect((await readFile(path, "utf8")).trim()).toBe(made.seed);
  });
});

test("many that need it at the same moment get one and the same, and leave nothing else", async () => {
  await withTempDir(async (dir) => {
    const path = join(dir, "agent.nk");
    const keys = await Promise.all(Array.from({ length: 20 }, () => ensureSeedFile(path)));
    expect(new Set(keys.map((key) => key.publicKey)).size).toBe(1);
    expect(await readdir(dir)).toEqual(["agent.nk"]);
  });
});

test("refuses what is missing, open to everybody or no user's seed, without showing it", async () => {
  await withTempDir(async (dir) => {
    const path = join(dir, "agent.nk");
    await expect(readSeedFile(path)).rejects.toThrow(SeedFileError);
    const account = new TextDecoder().decode(createAccount().getSeed());
    for (const text of ["nonsense", account]) {
      await writeFile(path, text, { mode: 0o600 });
      const error = (await ensureSeedFile(path).catch((e: Error) => e)) as Error;
      expect(error).toBeInstanceOf(SeedFileError);
      expect(error.message).not.toContain(text);
    }
    await chmod(path, 0o644);
    await expect(readSeedFile(path)).rejects.toThrow(`chmod 600 ${path}`);
  });
});

test("a folder that cannot be made is named", async () => {
  await withTempDir(async (dir) => {
    await writeFile(join(dir, "file"), "");
    const path = join(dir, "file", "agent.nk");
    await expect(ensureSeedFile(path)).rejects.toThrow(`${path}: ENOTDIR`);
  });
});
