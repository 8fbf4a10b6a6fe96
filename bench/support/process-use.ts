import { readFile } from "node:fs/promises";

const TICKS_PER_S = 100;
const KIB = 1024;

/** What a process has used so far: CPU seconds, and memory now and at its highest, MB. */
export interface ProcessUse {
  readonly cpuS: number;
  readonly rssMb: number;
  readonly peakRssMb: number;
}

/** Reads /proc (Linux). */
export async function processUse(pid: number): Promise<ProcessUse> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, "utf8"),
    readFile(`/proc/${pid}/status`, "utf8"),
  ]);
  // After the name, which may hold blanks: utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const megabytes = (name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * KIB) / 1e6;
  return {
    cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S,
    rssMb: megabytes("VmRSS"),
    peakRssMb: megabytes("VmHWM"),
  };
}
