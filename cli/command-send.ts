import type { Command } from "commander";
import { CommandFailed, CommandRefused } from "../shared/client/commands/command-errors.ts";
import { type CommandAnswer, sendCommand } from "../shared/client/commands/send-command.ts";
import { CommandFailure, usage } from "./failure.ts";
import { withNodeOptions } from "./find-fleet.ts";
import { readData } from "./json-data.ts";
import { type ConnectionOptions, connectNode } from "./node-connection.ts";
import { positiveNumber } from "./number-option.ts";
import { withWishes } from "./route.ts";
import { withUserOptions } from "./user-options.ts";

type SendOptions = ConnectionOptions & {
  data?: string;
  id?: string;
  require: string[];
  near?: string;
  strategy?: string;
  retry?: string;
  timeout?: string;
  json?: boolean;
};

export function registerCommandSend(commands: Command): void {
  withWishes(withUserOptions(withNodeOptions(commands.command("send <domain> <command>"))))
    .summary("send a command and print its answer")
    .description(
      "Sends a command from a node and prints its answer. Exits 1 when it was not done, or nobody knows.",
    )
    .option("--data <json>", "what the command is about; - reads it from stdin")
    .option("--id <id>", "its id: sent again with it, it is not done twice (default: a new one)")
    .option("--retry <where>", "elsewhere: another leaf may do it when its leaf goes away")
    .option("--timeout <seconds>", "how long the answer is waited for (default: 10)")
    .option("--json", "print the answer as one JSON document")
    .action(send);
}

async function send(domain: string, command: string, options: SendOptions): Promise<void> {
  const { id, require, near, strategy, retry } = options;
  if (retry !== undefined && retry !== "elsewhere")
    throw usage(`--retry: "${retry}" is no way to retry; write elsewhere, or leave it out`);
  const timeoutS = options.timeout === undefined ? 10 : positiveNumber(options.timeout, "--timeout", "2.5");
  const data = await readData(options.data);
  await using connection = await connectNode(options, "cim command send");
  let answer: CommandAnswer;
  try {
    answer = await sendCommand(
      connection.nc,
      {
        domain,
        command,
        data,
        require,
        ...(id !== undefined && { id }),
        ...(near !== undefined && { near }),
        ...(strategy !== undefined && { strategy }),
        ...(retry !== undefined && { retry }),
      },
      { timeoutMs: timeoutS * 1000 },
    );
  } catch (cause) {
    throw asFailure(cause);
  }
  const text = Buffer.from(answer.body).toString("utf8");
  process.stdout.write(`${options.json ? document(answer, text) : text}\n`);
}

function document({ id, node }: CommandAnswer, text: string): string {
  return JSON.stringify({ id, node: node ?? null, answer: jsonOrText(text) });
}

function jsonOrText(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** What was asked for wrongly, the user can mend: usage. */
function asFailure(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const isUsage =
    cause instanceof TypeError || (cause instanceof CommandRefused && cause.code === "bad-request");
  // What a handler threw may say nothing of where that was.
  const where = cause instanceof CommandFailed ? `failed on ${cause.node ?? "a leaf"}: ` : "";
  return new CommandFailure(where + cause.message, isUsage ? 2 : 1, { cause });
}
