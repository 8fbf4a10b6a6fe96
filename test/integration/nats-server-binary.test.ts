import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  findServerBinary,
  isAtLeast,
  MINIMUM_NATS_SERVER,
  ServerBinaryError,
} from "../../shared/nats/server-binary.ts";
import { withTempDir } from "../support/temp-dir.ts";

async function fakeServer(folder: string, says: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "nats-server");
  await writeFile(path, `#!/bin/sh\necho '${says}'\n`);
  await chmod(path, 0o755);
  return path;
}

test("finds the real one and says its version", async () => {
  const binary = await findServerBinary();
  expect(isAtLeast(binary.version, MINIMUM_NATS_SERVER)).toBe(true);
});

test("looks in PATH, GOBIN, GOPATH/bin, ~/go/bin and the project's .cim/bin, in this order", async () => {
  await withTempDir(async (dir) => {
    const places = ["path", "gobin", "gopath/bin", "home/go/bin", "project/.cim/bin"];
    const env = {
      PATH: join(dir, "path"),
      GOBIN: join(dir, "gobin"),
      GOPATH: join(dir, "gopath"),
      HOME: join(dir, "home"),
    };
    for (const place of places.toReversed()) {
      const path = await fakeServer(join(dir, place), "nats-server: v2.16.0");
      expect(await findServerBinary({ env, projectDirs: [join(dir, "project")] })).toEqual({
        path,
        version: "2.16.0",
      });
    }
  });
});

test("passes over one in PATH that is too old, but never over the one that CIM_NATS_SERVER names", async () => {
  await withTempDir(async (dir) => {
    const old = await fakeServer(join(dir, "path"), "nats-server: v2.9.10");
    const search = { env: { PATH: join(dir, "path"), HOME: dir }, projectDirs: [] };
    await expect(findServerBinary(search)).rejects.toThrow(
      new ServerBinaryError(
        `${old} is nats-server 2.9.10, older than 2.15.2 which is needed: install it with ` +
          '"go install github.com/nats-io/nats-server/v2@v2.15.2", or set CIM_NATS_SERVER to the path of one',
      ),
    );
    await fakeServer(join(dir, "go/bin"), "nats-server: v2.15.2");
    expect((await findServerBinary(search)).version).toBe("2.15.2");
    const named = { ...search, env: { ...search.env, CIM_NATS_SERVER: old } };
    await expect(findServerBinary(named)).rejects.toThrow(/older than 2\.15\.2/);
  });
});

test("says in one line what is wrong and how to get one", async () => {
  await withTempDir(async (dir) => {
    const env = { PATH: join(dir, "none"), HOME: dir };
    const failure = async (over: Record<string, string>) => {
      const error = await findServerBinary({ env: { ...env, ...over }, projectDirs: [] }).catch(
        (e: Error) => e,
      );
      expect(error).toBeInstanceOf(ServerBinaryError);
      const { message } = error as Error;
      expect(message).not.toContain("\n");
      expect(message).toContain("go install");
      return message;
    };
    expect(await failure({})).toMatch(/^nats-server not found/);
    expect(await failure({ CIM_NATS_SERVER: join(dir, "nothing") })).toContain("is not an executable file");
    const other = await fakeServer(join(dir, "other"), "hello");
    expect(await failure({ CIM_NATS_SERVER: other })).toContain("does not say it is a nats-server");
  });
});

test.each([
  ["2.15.2", true],
  ["2.15.10", true],
  ["3.0.0", true],
  ["2.15.1", false],
  ["2.9.99", false],
  ["2.15.2-RC.1", false],
  ["2.16.0-dev", true],
])("%s is new enough for 2.15.2: %s", (version, enough) => {
  expect(isAtLeast(version, "2.15.2")).toBe(enough);
});
