import type { Msg } from "@nats-io/transport-node";
import { headerTextOf } from "../../shared/nats/raw-message.ts";
import {
  COMMAND_HEADER,
  commandBody,
  isProgramInbox,
  parseAskedCommand,
  RETRY_ELSEWHERE,
} from "../../shared/protocol/commands.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import type { RoutedCommand } from "./flights.ts";
import type { RouteAsks } from "./route-ask.ts";
import type { Near, RouteRequest } from "./route-node.ts";

export type ReadCommand =
  | { readonly kind: "command"; readonly command: RoutedCommand; readonly request: RouteRequest }
  /** One line: what is wrong with it, and what to write. */
  | {
      readonly kind: "bad";
      readonly caller: string;
      readonly inbox: string | undefined;
      readonly problem: string;
    }
  /** Its answer is to go where no program listens: nothing is published there for anybody. */
  | { readonly kind: "forbidden"; readonly reply: string };

/** Reads a command as the coordinator hears it. `placeOf`: where a node stands. */
export function readCommand(message: Msg, asks: RouteAsks, placeOf: (node: string) => Near): ReadCommand {
  const { subject, reply = "" } = message;
  if (reply !== "" && !isProgramInbox(reply)) return { kind: "forbidden", reply };
  const inbox = reply === "" ? undefined : reply;
  const asked = parseAskedCommand(subject);
  if (asked === undefined) {
    const [, , caller = "", , ...sent] = subject.split(".");
    const problem = `"cim.commands.${sent.join(".")}" is no command; send it to cim.commands.<domain>.<Command>`;
    return { kind: "bad", caller, inbox, problem };
  }
  const { caller, domain, command } = asked;
  const headerText = headerTextOf(message);
  const header = (name: string) => (headerText === "" ? undefined : headerValue(headerText, name));
  const ask = {
    domain,
    command,
    require: header(COMMAND_HEADER.require),
    near: header(COMMAND_HEADER.near),
    strategy: header(COMMAND_HEADER.strategy),
  };
  const read = asks.read(ask, placeOf(caller));
  if (!read.ok) return { kind: "bad", caller, inbox, problem: read.problem };
  const body = message.data;
  const mayRepeat = header(COMMAND_HEADER.retry) === RETRY_ELSEWHERE && hasId(body);
  return {
    kind: "command",
    command: { caller, domain, command, inbox, body, headerText, mayRepeat },
    request: read.request,
  };
}

/** Whether the body names an id: without one nobody could know that it is the same again. */
function hasId(body: Uint8Array): boolean {
  try {
    return commandBody.safeParse(JSON.parse(Buffer.from(body).toString("utf8"))).success;
  } catch {
    return false;
  }
}
