import type { JournalledConflict } from "../coordinator/conflicts/conflict-record.ts";
import type { ConflictsAnswer } from "../coordinator/conflicts/conflicts-api.ts";
import type { FleetNode } from "../coordinator/fleet/fleet.ts";
import type { CopyLag, OriginLag, ReplicationView } from "../coordinator/fleet/replication-view.ts";
import type { FleetStatus } from "../coordinator/http/api.ts";
import type { VerifyAnswer } from "../coordinator/proof/fleet-proof.ts";
import type { RouteAnswer } from "../coordinator/routing/routes-api.ts";
import { CommandFailure, usage } from "./failure.ts";

const TIMEOUT_MS = 5_000;

/** A node with its way into the log and the log's way to it. */
export interface NodeView extends FleetNode {
  readonly origin: OriginLag | null;
  readonly copy: CopyLag | null;
}

export interface FleetView {
  readonly status: FleetStatus;
  readonly nodes: readonly NodeView[];
}

/** What the coordinator knows now. @throws CommandFailure when it does not answer as one */
export async function readFleet(base: string): Promise<FleetView> {
  const [status, { nodes }, replication] = await Promise.all([
    getJson<FleetStatus>(base, "/api/v1/status"),
    getJson<{ nodes: FleetNode[] }>(base, "/api/v1/nodes"),
    getJson<ReplicationView>(base, "/api/v1/replication"),
  ]);
  const of = <T extends { readonly node: string }>(all: readonly T[], name: string) =>
    all.find(({ node }) => node === name) ?? null;
  return {
    status,
    nodes: nodes.map((node) => ({
      ...node,
      origin: of(replication.origins, node.name),
      copy: of(replication.copies, node.name),
    })),
  };
}

/** How far nodes are with the log, and whether they have what it has. @throws CommandFailure */
export async function readReplication(base: string): Promise<ReplicationView> {
  return await getJson<ReplicationView>(base, "/api/v1/replication");
}

/** Begins a comparison with the log or waits on. @throws CommandFailure, usage when what is asked for is none */
export async function readVerify(
  base: string,
  asked: Readonly<Record<string, string>>,
): Promise<VerifyAnswer> {
  return await getJson<VerifyAnswer>(base, `/api/v1/verify?${new URLSearchParams(asked)}`);
}

/** Which leaf a command would go to. @throws CommandFailure, usage when what is asked for is none */
export async function readRoute(base: string, asked: Readonly<Record<string, string>>): Promise<RouteAnswer> {
  return await getJson<RouteAnswer>(base, `/api/v1/routes?${new URLSearchParams(asked)}`);
}

/** The newest conflicts. @throws CommandFailure, usage when what is asked for is none */
export async function readConflicts(
  base: string,
  asked: Readonly<Record<string, string>>,
): Promise<ConflictsAnswer> {
  return await getJson<ConflictsAnswer>(base, `/api/v1/conflicts?${new URLSearchParams(asked)}`);
}

/** One conflict. @throws CommandFailure when there is none of that id; usage when it is no id */
export async function readConflict(base: string, id: string): Promise<JournalledConflict> {
  return await getJson<JournalledConflict>(base, `/api/v1/conflicts/${encodeURIComponent(id)}`);
}

async function getJson<T>(base: string, path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(base + path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (cause) {
    throw new CommandFailure(`the coordinator at ${base} does not answer: ${whyOf(cause)}`, 1, { cause });
  }
  if (response.status === 400 || response.status === 404) {
    const { error } = (await response.json().catch(() => ({}))) as { error?: string };
    // A path that is not there is another kind of server; a thing that is not there is an answer.
    if (error !== undefined && !error.startsWith("there is no /"))
      throw response.status === 400 ? usage(error) : new CommandFailure(error);
  }
  if (response.status === 503) {
    const { error } = (await response.json().catch(() => ({}))) as { error?: string };
    if (error !== undefined) throw new CommandFailure(`the coordinator at ${base} can't say: ${error}`);
  }
  if (!response.ok) {
    const text = `${base} answers, but not as a coordinator does (${response.status} to ${path}): write --http of the hub's`;
    throw new CommandFailure(text);
  }
  try {
    return (await response.json()) as T;
  } catch (cause) {
    throw new CommandFailure(`${base} answers, but not as a coordinator does (no JSON from ${path})`, 1, {
      cause,
    });
  }
}

/** Fetch hides what happened one level down. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `nothing within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  if (cause instanceof Error && cause.message !== "") return cause.message;
  if (cause instanceof Error && "code" in cause) return String(cause.code);
  return error.message;
}
