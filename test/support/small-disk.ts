import { execFile } from "node:child_process";
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { tempDir } from "./temp-dir.ts";

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Its size when it was made. */
  readonly bytes: number;
  usedBytes(): Promise<number>;
  /** Makes it larger, or smaller as long as that holds what is on it; that stays. */
  grow(bytes: number): Promise<void>;
}

/**
 * A disk of its own that is soon full: a tmpfs, which may hold data over restarts of a server. Undefined where mounting is
 * not allowed, as for everyone but root; such a test is skipped there.
 */
export async function smallDisk(bytes: number): Promise<SmallDisk | undefined> {
  const dir = await tempDir("cim-disk-");
  const path = join(dir.path, "disk");
  await mkdir(path);
  const run = promisify(execFile);
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "tmpfs", path]);
  } catch {
    await dir[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    path,
    bytes,
    async usedBytes() {
      const { blocks, bfree, bsize } = await statfs(path);
      return (blocks - bfree) * bsize;
    },
    async grow(to) {
      await run("mount", ["-o", `remount,size=${to}`, path]);
    },
    async [Symbol.asyncDispose]() {
      // Lazily: a server that was killed may still hold it for a moment.
      await run("umount", ["-l", path]);
      await dir[Symbol.asyncDispose]();
    },
  };
}
