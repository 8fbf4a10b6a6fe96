import { open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod";
import { makeFolder } from "../shared/config/make-folder.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { LabError } from "./lab-error.ts";

const identity = z.strictObject({
  pid: z.int().positive(),
  startTicks: z.number(),
  command: z.array(z.string()).readonly(),
});
const port = z.int().min(1).max(65535);

const nodeState = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  role: z.enum(["hub", "leaf"]),
  region: z.string().optional(),
  capabilities: z.array(z.string()),
  /** Whether the node belongs to the fleet that now runs, or ran last. */
  included: z.boolean(),
  /** `leaf`: where a hub takes its leaves; `link`: where a leaf's link listens. */
  ports: z.strictObject({
    nats: port,
    monitor: port,
    http: port,
    leaf: port.optional(),
    link: port.optional(),
  }),
  nats: identity.nullable(),
  daemon: identity.nullable(),
});

const labState = z.strictObject({
  version: z.literal(1),
  /** Process identities mean something only within this boot. */
  bootId: z.string(),
  /** The process that runs the lab; null when it has ended in order. */
  lab: identity.nullable(),
  /** Path of the unix socket on which the running lab is told what to do. */
  control: z.string().nullable(),
  nodes: z.array(nodeState),
});

/** What a lab remembers of one node between starts, and for whoever takes over after a crash. */
export type NodeState = z.infer<typeof nodeState>;
export type LabState = z.infer<typeof labState>;

export function labStateFile(dir: string): string {
  return join(dir, "lab.json");
}

/**
 * The state in a lab's folder; undefined when no lab was ever there.
 * @throws LabError when there is a file that isn't a lab's state
 */
export async function readLabState(dir: string): Promise<LabState | undefined> {
  const file = labStateFile(dir);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new LabError(`cannot read the lab's state ${file}: ${errorText(error)}`, 2, { cause: error });
  }
  try {
    return labState.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? describe(cause) : errorText(cause);
    throw new LabError(
      `${file} is not the state of a lab (${why}): choose another --dir, or remove it to start afresh beside the nodes' data`,
      2,
      { cause },
    );
  }
}

/** Replaces the state as a whole, durably: a crash leaves the old one or the new one. */
export async function writeLabState(dir: string, state: LabState): Promise<void> {
  await writeDurably(labStateFile(dir), `${JSON.stringify(state, null, 2)}\n`);
}

/** Writes a file (0600) so that a reader, and the next boot, sees it whole or not at all. */
export async function writeDurably(path: string, text: string): Promise<void> {
  await makeFolder(dirname(path));
  const part = `${path}.part`;
  const file = await open(part, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue ? `${issue.path.join(".")}: ${issue.message}` : "unknown fault";
}
