import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { connectNats } from "../shared/nats/connect.ts";
import { usage } from "./failure.ts";
import { findNode, labOf } from "./find-fleet.ts";

export interface HubAccessOptions {
  readonly dir?: string;
  readonly server?: string;
  readonly seedFile?: string;
}

const TIMEOUT_MS = 5_000;

/**
 * A connection to the hub's server as its agent, in a lab with the key from its folder: what an operator needs to speak to
 * nodes' daemons.
 * @param command as it is typed
 * @throws CommandFailure, LabError, NatsUnreachable, SeedFileError: one line each
 */
export async function connectHub(options: HubAccessOptions, command: string): Promise<NatsConnection> {
  const { url, seedFile } = await hubAccess(options, command);
  return await connectNats({ url, seedFile, name: command, firstConnectTimeoutMs: TIMEOUT_MS });
}

/** The hub's server and the key of its agent: in a lab from its folder. */
export async function hubAccess(
  { dir, server, seedFile }: HubAccessOptions,
  command: string,
): Promise<{ url: string; seedFile: string }> {
  if (server === undefined) {
    const lab = await labOf(dir);
    if (lab) {
      const { url } = await findNode({ node: lab.hub.name, ...(dir !== undefined && { dir }) });
      return { url, seedFile: seedFile ?? join(lab.hub.dir, "data", "agent.nk") };
    }
  }
  if (seedFile === undefined) {
    throw usage(
      `${command} needs --seed-file <file> of the hub's agent (nats.agentSeedFile in its configuration)`,
    );
  }
  const { url } = await findNode(server === undefined ? {} : { server });
  return { url, seedFile };
}
