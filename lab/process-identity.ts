import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Which process a pid meant: pids are used again, but not with the same start time in the same boot and the same
 * command line.
 */
export type ProcessIdentity = {
  readonly pid: number;
  /** Clock ticks from boot to the process's start: field 22 of /proc/<pid>/stat (proc_pid_stat(5)). */
  readonly startTicks: number;
  readonly command: readonly string[];
};

export type ProcessView = ProcessIdentity & {
  /** R, S, D: it runs. T: it was stopped by a signal. */
  readonly state: string;
};

/** The process of this pid, or undefined when there is none; one that only waits to be reaped is none. */
export async function viewProcess(pid: number): Promise<ProcessView | undefined> {
  try {
    const [stat, cmdline] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    // The name in parentheses may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0] ?? "";
    if (state === "Z" || state === "X") return undefined;
    return { pid, state, startTicks: Number(fields[19]), command: cmdline.split("\0").slice(0, -1) };
  } catch {
    return undefined;
  }
}

/** What to remember of a process, so that `isRunning` recognises it later, in another process of ours too. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const view = await viewProcess(pid);
  return view && { pid, startTicks: view.startTicks, command: view.command };
}

/** Whether this very process still runs; never true for another that has got its pid. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const view = await viewProcess(identity.pid);
  return (
    view !== undefined &&
    view.startTicks === identity.startTicks &&
    view.command.join("\0") === identity.command.join("\0")
  );
}

/** Every process that we may see whose command line is wanted. */
export async function findProcesses(
  wanted: (command: readonly string[]) => boolean,
): Promise<ProcessIdentity[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const views = await Promise.all(pids.map(identify));
  return views.filter((view) => view !== undefined).filter(({ command }) => wanted(command));
}

/** The running boot's id; start ticks of another boot mean nothing. */
export async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
}

/**
 * Ends a process that need not be our child: asks, and after `graceMs` kills. Returns when it is gone.
 * @throws Error when it is still there `graceMs` after SIGKILL (a process in an uninterruptible wait)
 */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  for (const signals of [["SIGTERM", "SIGCONT"], ["SIGKILL"]] as const) {
    if (!(await isRunning(identity))) return;
    for (const signal of signals) signalProcess(identity.pid, signal);
    const deadlineMs = performance.now() + graceMs;
    while (performance.now() < deadlineMs) {
      if (!(await isRunning(identity))) return;
      await sleep(10);
    }
  }
  throw new Error(`process ${identity.pid} (${identity.command[0]}) does not end, not even by SIGKILL`);
}

/** Sends a signal; a process that is already gone is no fault. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
