import { execFile, spawnSync } from "node:child_process";
import { mkdir, readFile, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
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

const run = promisify(execFile);

/**
 * A disk of its own that is soon full: a tmpfs, which may hold data over restarts of a server. Undefined where mounting is
 * not allowed, as for everyone but root; such a test is skipped there. Taken down with its process, or, where that was
 * killed, by the next one that makes a disk.
 */
export async function smallDisk(bytes: number): Promise<SmallDisk | undefined> {
  await takeDownLeftDisks();
  const dir = await tempDir(`cim-disk-${process.pid}-`);
  const path = join(dir.path, "disk");
  await mkdir(path);
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "tmpfs", path]);
  } catch {
    await dir[Symbol.asyncDispose]();
    return undefined;
  }
  const endWithUs = () => void spawnSync("umount", ["-l", path]);
  process.once("exit", endWithUs);
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
      process.removeListener("exit", endWithUs);
      // Lazily: a server that was killed may still hold it for a moment.
      await run("umount", ["-l", path]);
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Disks whose process is no more, with what is on them. */
async function takeDownLeftDisks(): Promise<void> {
  for (const path of await mountedDisks()) {
    const pid = Number(/^cim-disk-(\d+)-/.exec(basename(dirname(path)))?.[1]);
    if (isRunning(pid)) continue;
    // Where it can't be taken down nothing is removed: that would empty it.
    const isDown = await run("umount", ["-l", path]).then(
      () => true,
      () => false,
    );
    if (isDown) await rm(dirname(path), { recursive: true, force: true });
  }
}

/** Where such disks are mounted now, whosever they are. */
export async function mountedDisks(): Promise<string[]> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  return mounts
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${tmpdir()}/`) && /\/cim-disk-\d+-[^/]+\/disk$/.test(path));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It runs as somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
