import { spawn } from "node:child_process";
import * as z from "zod";
import { type Fault, type FaultKind, faultKinds } from "./fault.ts";
import type { FaultNode, FaultTarget } from "./target.ts";

const fleetFile = z.strictObject({
  nodes: z
    .array(z.strictObject({ name: z.string(), role: z.enum(["hub", "leaf"]), natsUrl: z.string() }))
    .min(1)
    .refine(
      (nodes) => nodes.filter(({ role }) => role === "hub").length === 1,
      "one of the nodes is the hub",
    ),
  /** By kind of fault: a shell command that begins it, and one that mends it. */
  commands: z.partialRecord(z.enum(faultKinds), z.strictObject({ begin: z.string(), end: z.string() })),
  timeoutS: z.number().positive().default(60),
});

export type FleetFile = z.infer<typeof fleetFile>;

/** @throws ZodError */
export function readFleetFile(value: unknown): FleetFile {
  const fleet = fleetFile.parse(value);
  return { ...fleet, nodes: fleet.nodes.toSorted((a, b) => a.role.localeCompare(b.role)) };
}

/** Readers are the run's own programs: their kind needs no command. */
const ownKinds: ReadonlySet<FaultKind> = new Set(["reader"]);

/** Breaks any fleet by its owner's commands. They are told of the fault by `CIM_FAULT_…` in their environment. */
export class CommandTarget implements FaultTarget {
  readonly nodes: readonly FaultNode[];
  readonly cannot: ReadonlyMap<FaultKind, string>;
  readonly #fleet: FleetFile;

  constructor(fleet: FleetFile) {
    this.#fleet = fleet;
    this.nodes = fleet.nodes;
    this.cannot = new Map(
      faultKinds
        .filter((kind) => !fleet.commands[kind] && !ownKinds.has(kind))
        .map((kind) => [kind, "the fleet's file has no command for it"]),
    );
  }

  async begin(fault: Fault): Promise<void> {
    await this.#run(this.#fleet.commands[fault.kind]?.begin, fault);
  }

  async end(fault: Fault): Promise<void> {
    await this.#run(this.#fleet.commands[fault.kind]?.end, fault);
  }

  troubles(): string[] {
    return [];
  }

  async #run(text: string | undefined, { kind, node, part, condition, forMs }: Fault): Promise<void> {
    if (text === undefined) return;
    const env = {
      ...process.env,
      CIM_FAULT_KIND: kind,
      CIM_FAULT_NODE: node,
      CIM_FAULT_PART: part ?? "",
      CIM_FAULT_CONDITION: condition ?? "",
      CIM_FAULT_SECONDS: String(forMs / 1000),
    };
    const { timeoutS } = this.#fleet;
    const child = spawn("/bin/sh", ["-c", text], { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk) => {
      said = (said + String(chunk)).slice(-500);
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutS * 1000);
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", resolve);
      });
      if (code === 0) return;
      const how = code === null ? `did not end within ${timeoutS} s` : `ended with ${code}`;
      throw new Error(`"${text}" for ${node} ${how}${said && `: ${said.trim()}`}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
