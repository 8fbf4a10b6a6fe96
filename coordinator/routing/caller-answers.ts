import type { NatsConnection } from "@nats-io/transport-node";
import { EncodedHeaders } from "../../shared/nats/raw-message.ts";
import type { Log } from "../../shared/observe/log.ts";
import { answeredSubject, COMMAND_HEADER, type CommandError } from "../../shared/protocol/commands.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import type { RoutedCommand } from "./flights.ts";

type Caller = Pick<RoutedCommand, "caller" | "inbox">;

/** What the coordinator itself answers to a command's sender. */
export class CallerAnswers {
  readonly #init: { readonly nc: NatsConnection; readonly hub: string; readonly log: Log };

  constructor(init: { readonly nc: NatsConnection; readonly hub: string; readonly log: Log }) {
    this.#init = init;
  }

  /** It was not done, or nobody knows. Who waits for no answer is told by the log. */
  refuse(to: Caller, error: CommandError): void {
    if (to.inbox === undefined) {
      const about = { caller: to.caller, code: error.code };
      this.#init.log.warn(about, `a command was not sent on: ${error.message}`);
      return;
    }
    this.tell(to, JSON.stringify({ error }), headerLine(COMMAND_HEADER.error, error.code));
  }

  tell({ caller, inbox }: Caller, text: string, headerText = ""): void {
    const { nc, hub } = this.#init;
    if (inbox === undefined) return;
    const subject = caller === hub ? inbox : answeredSubject(caller, inbox);
    nc.publish(subject, text, headerText === "" ? {} : { headers: new EncodedHeaders(headerText) });
  }
}
