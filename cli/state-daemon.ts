import type { NatsConnection } from "@nats-io/transport-node";
import type { Command } from "commander";
import type * as z from "zod";
import { askNode } from "../shared/nats/ask-node.ts";
import { connectNats } from "../shared/nats/connect.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { isNodeName, NODE_NAME_RULE } from "../shared/protocol/names.ts";
import { controlSubject } from "../shared/protocol/subjects.ts";
import { CommandFailure, usage } from "./failure.ts";
import { type HubAccessOptions, hubAccess } from "./hub-access.ts";

export type StateDaemonOptions = HubAccessOptions & { node?: string; json?: boolean };

const TIMEOUT_MS = 5_000;

export function withStateDaemonOptions(command: Command): Command {
  return command
    .option("--node <node>", "the node whose states are meant (default: the hub)")
    .option("--dir <folder>", "a lab's folder: its hub's key is used")
    .option("--server <url>", "the hub's nats-server (or CIM_NATS_URL)")
    .option("--seed-file <file>", "the nkey seed of the hub's agent (nats.agentSeedFile)");
}

/** Whoever keeps a node's states: its agent, or the hub's coordinator. */
export class StateDaemon implements AsyncDisposable {
  readonly #nc: NatsConnection;
  readonly node: string;

  private constructor(nc: NatsConnection, node: string) {
    this.#nc = nc;
    this.node = node;
  }

  /** @throws CommandFailure and what `hubAccess` and `connectNats` throw */
  static async connect(options: StateDaemonOptions, command: string): Promise<StateDaemon> {
    const { node } = options;
    if (node !== undefined && !isNodeName(node))
      throw usage(`"${node}" is not a node's name; write ${NODE_NAME_RULE}`);
    const access = await hubAccess(options, command.replace(/^cim /, ""));
    const nc = await connectNats({ ...access, name: command, firstConnectTimeoutMs: TIMEOUT_MS });
    return new StateDaemon(nc, node ?? nc.info?.server_name ?? "hub");
  }

  /** @throws CommandFailure nobody there keeps states */
  async ask<T>(verb: string, request: unknown, answer: z.ZodType<T>): Promise<T> {
    let said: unknown;
    try {
      const subject = controlSubject(this.node, verb);
      const message = await askNode(this.#nc, this.node, subject, JSON.stringify(request), {
        timeoutMs: TIMEOUT_MS,
      });
      said = message.json();
    } catch (cause) {
      const why = errorText(cause);
      throw new CommandFailure(
        `${this.node} keeps no states, or its daemon does not answer (${why}): see state.enabled in its configuration, and cim nodes show ${this.node}`,
        1,
        { cause },
      );
    }
    const read = answer.safeParse(said);
    if (!read.success)
      throw new CommandFailure(
        `${this.node}: what its daemon answers can't be read; is it of another version?`,
      );
    return read.data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nc.close();
  }
}
