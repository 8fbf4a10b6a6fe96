import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

/** A folder of one's own, removed on disposal: `await using dir = await tempDir();`. */
export async function tempDir(prefix = "cim-test-"): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
}

/** Runs `body` with a folder that is removed afterwards, whatever happens. */
export async function withTempDir<T>(body: (path: string) => Promise<T>): Promise<T> {
  await using dir = await tempDir();
  return await body(dir.path);
}
