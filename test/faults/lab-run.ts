import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Lab, type LabOptions } from "../../lab/lab.ts";
import { type SmallDisk, smallDisk } from "../support/small-disk.ts";
import type { Schedule } from "./fault.ts";
import { LabTarget } from "./lab-target.ts";
import { type Report, type RunOptions, runFaults } from "./run.ts";

const MiB = 1024 * 1024;

export interface LabRunOptions extends Omit<RunOptions, "target"> {
  /** Where the disks of nodes whose disk is filled are this large. Default 2 GiB. */
  readonly diskBytes?: number;
  readonly configure?: LabOptions["configure"];
  /** Does something with the fleet before it ends. */
  readonly before?: (lab: Lab) => Promise<void>;
  readonly after?: (lab: Lab, report: Report) => Promise<void>;
}

/** Starts a lab for a schedule's nodes, runs the schedule on it, and ends it. */
export async function runOnLab(options: LabRunOptions): Promise<Report> {
  const { schedule, dir, diskBytes = 2048 * MiB } = options;
  await using open = new AsyncDisposableStack();
  const disks = new Map<string, SmallDisk>();
  for (const name of diskNodes(schedule)) {
    const disk = await smallDisk(diskBytes);
    if (disk) disks.set(name, open.use(disk));
  }
  const notices: string[] = [];
  await mkdir(dir, { recursive: true });
  const lab = open.use(
    await Lab.up({
      dir: join(dir, "lab"),
      leaves: schedule.nodes.filter(({ role }) => role === "leaf").map(({ name }) => name),
      onNotice: (line) => notices.push(line),
      ...(options.signal && { signal: options.signal }),
      configure: (document) => {
        const disk = disks.get(document.node);
        const changed = options.configure?.(document) ?? document;
        if (!disk) return changed;
        return { ...changed, nats: { ...changed.nats, storeDir: join(disk.path, "nats") } };
      },
    }),
  );
  const target = new LabTarget(lab, disks, notices);
  await options.before?.(lab);
  const report = await runFaults({ ...options, target });
  await options.after?.(lab, report);
  return report;
}

/** The nodes whose disk a schedule fills. */
export function diskNodes({ faults }: Schedule): string[] {
  return [...new Set(faults.filter(({ kind }) => kind === "disk-full").map(({ node }) => node))];
}
